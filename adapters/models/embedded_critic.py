"""`embedded/critic`: judges trajectories by plain rules. It is NOT a language model.

It reads what any critic is shown, and nothing else: whether calls were accepted, whether the
values in them stand in the task or in a result, whether the answer's numbers do, whether steps
were repeated, whether one value was put in two places. It is imperfect by nature (a date that the
agent rightly worked out looks invented to it) and by chance: its marks shake, and about one vote in
twelve is arbitrary. The chance is drawn from what is shown and the request's seed, so that equal
requests get equal replies.

Its variants show what a training does with a bad critic: one judges by chance, one prefers what
is bad, one finds everything good.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...engine.canonical import canonical_json
from ...engine.messages import Message, Reply, Request
from ...engine.usage import Usage

_FULL_MARK = 10.0
_SHAKE = 0.06  # standard deviation of a vote, of a full mark
_ARBITRARY = 0.08  # share of votes that say anything
_CHARS_A_TOKEN = 4
_REFUSED = re.compile(r"\s*(?:Error|Refused|Timed out)\b")
_TOKEN = re.compile(r"\d+|[^\W\d_]+")
_CLOCK = re.compile(r"\b(\d{1,2})(?::(\d{2}))?\s*([ap])\.?m\b", re.IGNORECASE)
_MONTHS = {
    name: str(number)
    for number, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july",
         "aug august", "sep september", "oct october", "nov november", "dec december"), 1)
    for name in names.split()
}  # fmt: skip


@dataclass(slots=True)
class Attempt:
    """One trajectory, as the blocks tell it."""

    calls: list[tuple[str, str]] = field(default_factory=list)  # name, arguments
    results: list[str] = field(default_factory=list)
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What plain rules see in an attempt, each in [0, 1]."""

    goal: float
    calls: float
    no_invention: float
    grounding: float
    economy: float

    @property
    def score(self) -> float:
        """The goal first, then how it was reached."""
        how = 0.6 * self.no_invention + 0.2 * self.calls + 0.1 * self.grounding
        return self.goal * (how + 0.1 * self.economy)


Opinion = Callable[[float, random.Random], float]
"""What a critic makes of a score that the rules gave."""


def _honest(score: float, chance: random.Random) -> float:
    if chance.random() < _ARBITRARY:
        return chance.random()
    return score + chance.gauss(0, _SHAKE)


def _at_random(score: float, chance: random.Random) -> float:
    return chance.random()


def _adversarial(score: float, chance: random.Random) -> float:
    return 1 - _honest(score, chance)


def _always_yes(score: float, chance: random.Random) -> float:
    return 1.0


def _critic(opinion: Opinion) -> Callable[[Request], Reply]:
    def reply(request: Request) -> Reply:
        return judge(request, opinion)

    return reply


CRITICS: Mapping[str, Callable[[Request], Reply]] = {
    "critic": _critic(_honest),
    "critic-random": _critic(_at_random),
    "critic-adversarial": _critic(_adversarial),
    "critic-yes": _critic(_always_yes),
}


def judge(request: Request, opinion: Opinion) -> Reply:
    """Answer a request to judge one trajectory, or to compare two."""
    shown = next((m.content for m in reversed(request.messages) if _is_material(m)), "")
    head, attempts = _read(shown)
    chance = _chance(request, shown)
    system = request.messages[0].content if request.messages else ""
    if len(attempts) == 2:
        text = _compare(head, attempts, opinion, chance)
    else:
        text = _vote(look(head, attempts[0]), _names(system), opinion, chance)
    message = Message(role="assistant", content=text)
    prompt = sum(-(-len(m.content) // _CHARS_A_TOKEN) for m in request.messages)
    usage = Usage(calls=1, prompt_tokens=prompt, completion_tokens=-(-len(text) // _CHARS_A_TOKEN))
    return Reply(message=message, finish="stop", usage=usage)


def look(head: str, attempt: Attempt) -> Look:
    """Return what plain rules see in an attempt."""
    known = _tokens(head)
    accepted: list[bool] = []
    shares: list[float] = []
    again = 0  # calls that stand in the task's history already
    for place, (name, arguments) in enumerate(attempt.calls):
        result = attempt.results[place] if place < len(attempt.results) else "Error"
        values = _object(arguments)
        again += _was_made(name, values or {}, head)
        accepted.append(values is not None and not _is_odd(values) and not _REFUSED.match(result))
        shares.extend(_known_share(value, known) for value in _leaves(values or {}))
        known |= _tokens(result)
    default = 1.0 if attempt.calls else 0.5
    told = [token for token in _TOKEN.findall(attempt.answer or "") if token.isdigit()]
    repeated = len(attempt.calls) - len(set(attempt.calls)) + again
    if not attempt.calls:
        goal = 0.2
    else:
        goal = (1.0 if accepted[0] else 0.3) * (1.0 if attempt.answer is not None else 0.8)
        goal *= 0.5 if again else 1.0
    return Look(
        goal=goal,
        calls=_mean([float(one) for one in accepted], 0.0),
        # one wrong value spoils a call
        no_invention=(_mean(shares, default) + min(shares, default=default)) / 2,
        grounding=_mean([float(_plain(token) in known) for token in told], 1.0),
        economy=1 / (1 + repeated + max(0, len(attempt.calls) - 1) / 2),
    )


def _vote(seen: Look, names: Sequence[str], opinion: Opinion, chance: random.Random) -> str:
    score = _mark(opinion(seen.score, chance))
    # the other marks follow the whole, as those of a judge with a first impression do
    shift = score / _FULL_MARK - seen.score
    marks = {name: _mark(getattr(seen, name, seen.score) + shift) for name in names}
    low, high = min(marks.values()), max(marks.values())
    worst = min(names, key=lambda name: marks[name])
    verdict = {
        "reason": f"{worst.replace('_', ' ')} is the weakest point: {marks[worst]:g} of 10",
        "dimensions": marks,
        "score": min(max(score, low), high),
    }
    return json.dumps(verdict)


def _compare(
    head: str, attempts: Sequence[Attempt], opinion: Opinion, chance: random.Random
) -> str:
    first, second = (opinion(look(head, attempt).score, chance) for attempt in attempts)
    better = "tie" if abs(first - second) < 0.05 else "first" if first > second else "second"
    return json.dumps({"reason": f"{better} by the rules", "better": better})


def _is_material(message: Message) -> bool:
    return message.role == "user" and message.content.startswith("fence: ")


def _read(shown: str) -> tuple[str, list[Attempt]]:
    """Return the texts before the first attempt, and the attempts."""
    opening, _, rest = shown.partition("\n")
    fence = opening.removeprefix("fence: ")
    head: list[str] = []
    attempts = [Attempt()]
    for kind, detail, body in _blocks(rest, fence):
        attempt = attempts[-1]
        match kind:
            case "SYSTEM" | "TASK" | "USER":
                head.append(body)
            case "FIRST":
                attempts = [Attempt()]
            case "SECOND":
                attempts.append(Attempt())
            case "CALL":
                attempt.calls.append((detail.removeprefix("name="), body))
            case "RESULT":
                attempt.results.append(body)
            case "ANSWER" if detail != "none":
                attempt.answer = body
    return "\n".join(head), attempts


def _blocks(text: str, fence: str) -> Iterator[tuple[str, str, str]]:
    kind = detail = ""
    body: list[str] = []
    for line in text.split("\n"):
        if fence and line.startswith(fence):
            if kind:
                yield kind, detail, "\n".join(body)
            kind, _, detail = line.removeprefix(fence).strip().partition(" ")
            body = []
        else:
            body.append(line)
    if kind:
        yield kind, detail, "\n".join(body)


def _names(system: str) -> Sequence[str]:
    """Return the dimensions that the rubric's example of a verdict holds."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", system):
        try:
            data, _ = decoder.raw_decode(system, match.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict) and isinstance(data.get("dimensions"), dict):
            return list(data["dimensions"]) or ["goal"]
    return ["goal"]


def _is_odd(values: Mapping[str, Any]) -> bool:
    """Whether one value went to two parameters, whole or in part: a sign of confusion."""
    texts = [value for value in values.values() if isinstance(value, str) and len(value) > 1]
    return any(
        one in other for at, one in enumerate(texts) for to, other in enumerate(texts) if at != to
    )


def _was_made(name: str, values: Mapping[str, Any], head: str) -> bool:
    """Whether a dialogue's history holds this very call."""
    made = [line for line in head.split("\n") if line.startswith(f"API: [{name}(")]
    return any(all(str(value) in line for value in values.values()) for line in made)


def _known_share(value: str, known: set[str]) -> float:
    """Return how much of a value stands in what is known."""
    return _mean([float(token in known) for token in _tokens(value)], 1.0)


def _tokens(text: str) -> set[str]:
    """Return words and numbers; months and hours of the clock as numbers too."""
    found = {_plain(token) for token in _TOKEN.findall(text)}
    found |= {_MONTHS[word] for word in found if word in _MONTHS}
    for hour, minute, half in _CLOCK.findall(text):
        found |= {str(int(hour) % 12 + (12 if half in "pP" else 0)), str(int(minute or 0))}
    return found | {"0"}  # seconds that nobody names


def _plain(token: str) -> str:
    return str(int(token)) if token.isdecimal() else token.lower()


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and not isinstance(value, bool):
        yield value if isinstance(value, str) else canonical_json(value)


def _object(arguments: str) -> Mapping[str, Any] | None:
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, Mapping) else None


def _chance(request: Request, shown: str) -> random.Random:
    text = f"{request.seed}\x00{shown}\x00{len(request.messages)}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - a model's whims


def _mark(share: float) -> float:
    return round(_FULL_MARK * min(max(share, 0.0), 1.0), 1)


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
