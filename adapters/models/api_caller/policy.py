"""Decides by weighted chance, and lets worked examples move the weights."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ....engine.canonical import canonical_json, content_hash
from ....engine.messages import Message, Reply, Request, Tool, ToolCall
from ....engine.usage import Usage
from .habits import choices
from .readings import OMITTED, Reading, after, kind_of, readings
from .shown import Example, Shown, Talk, read_request

# weights before any example; what is not named weighs _OTHER
_HABITS = {"careful": 1.2, "hasty": 0.5, "again": 0.15, "any": 0.15}
_FIRST = 1.0  # the likeliest reading of a value
_OTHER = 0.08
_RARE = {"omitted": 0.08, "invented": 0.12}
_SAME_API, _SAME_KIND = 4.0, 1.5  # what an example adds
_CHARS_A_TOKEN = 4
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?|%Y-%m-%d(?: %H:%M:%S)?|YYYY-MM-DD")
_LOGIN_ADVICE = re.compile(r"\b(?:token|authenticat\w+|log ?in)\b", re.IGNORECASE)

Weights = dict[str, float]


def reply(request: Request) -> Reply:
    """Call an API, or say what came of the call that was made."""
    shown = read_request(request)
    chance = _chance(request)
    if shown.results or not shown.tools or request.tool_choice == "none":
        message = Message(role="assistant", content=_report(shown))
    else:
        message = _call(shown, _Decider(chance, request.temperature), chance)
    prompt = sum(_tokens(m.content) for m in request.messages) + sum(
        _tokens(canonical_json(tool.to_json())) for tool in request.tools
    )
    written = _tokens(message.content) + sum(_tokens(c.arguments) for c in message.tool_calls)
    usage = Usage(calls=1, prompt_tokens=prompt, completion_tokens=max(1, written))
    finish = "tool_calls" if message.tool_calls else "stop"
    return Reply(message=message, finish=finish, usage=usage)  # type: ignore[arg-type]


class _Decider:
    """Picks a key by weight. Temperature 0 takes the heaviest, 1 goes by weight."""

    def __init__(self, chance: random.Random, temperature: float | None) -> None:
        self._chance = chance
        self._temperature = 1.0 if temperature is None else temperature

    def __call__(self, weights: Mapping[str, float]) -> str:
        keys = sorted(weights, key=lambda key: (-weights[key], key))
        if self._temperature == 0:
            return keys[0]
        powers = [weights[key] ** (1 / self._temperature) for key in keys]
        return self._chance.choices(keys, powers)[0]


def _call(shown: Shown, decide: _Decider, chance: random.Random) -> Message:
    options = choices(shown.talk, shown.tools, chance)
    name = options[decide(_habit_weights(shown, options))]
    arguments = {}
    for parameter, about in (shown.tools[name].arguments.get("properties") or {}).items():
        found = _readings(name, parameter, about, shown)
        values = dict(reversed(found))  # the first of equal name
        value = values[decide(_reading_weights(name, parameter, about, found, shown))]
        if value is not OMITTED:
            arguments[parameter] = value
    spelled = json.dumps(arguments, ensure_ascii=False)
    key = f"call_{chance.getrandbits(48):012x}"
    return Message(role="assistant", tool_calls=(ToolCall(id=key, name=name, arguments=spelled),))


def _habit_weights(shown: Shown, options: Mapping[str, str]) -> Weights:
    weights = {habit: _HABITS[habit] for habit in options}
    for example in shown.examples:
        # tools of an example are not shown again: those of its kind that are offered now stand in
        tools = {**shown.tools, **_stand_in(example, shown.tools)}
        for habit, choice in choices(example.talk, tools, None).items():
            if habit in weights and choice == example.name:
                weights[habit] += _SAME_KIND
    if _LOGIN_ADVICE.search(_own_words(shown)):
        weights["careful"] += _SAME_KIND
    return weights


def _reading_weights(
    name: str, parameter: str, about: Mapping[str, Any], found: Sequence[Reading], shown: Shown
) -> Weights:
    weights: Weights = {}
    for place, (way, _) in enumerate(found):
        prior = _FIRST if place == 0 else _RARE.get(way, _OTHER)
        weights.setdefault(way, prior)
    kind = kind_of(parameter, about)
    for example in shown.examples:
        for other, value in _alike(example, name, parameter, kind, shown.tools):
            near = example.name == name and other == parameter
            gain = _SAME_API if near else _SAME_KIND
            for way in _ways(example, other, about, value):
                if way in weights:
                    weights[way] += gain
    if kind in ("moment", "day") and "iso" in weights and _ISO.search(_own_words(shown)):
        weights["iso"] += _SAME_KIND
    return weights


def _readings(name: str, parameter: str, about: Mapping[str, Any], shown: Shown) -> list[Reading]:
    """Return the ways to read a value, those that examples taught among them."""
    found = readings(parameter, about, shown.talk)
    if kind_of(parameter, about) != "text":
        return found
    taught: list[Reading] = []
    for example in shown.examples:
        value = example.arguments.get(parameter)
        if example.name != name or not isinstance(value, str):
            continue
        for words in _before(value, example.talk):
            seen = after(words, len(value.split()), shown.talk.said)
            if seen is not None:
                taught.append((f"after {words}", seen))
    return [*found, *taught]


def _ways(example: Example, parameter: str, about: Mapping[str, Any], value: Any) -> set[str]:
    """Return the ways that give an example's value in its own dialogue."""
    found = {way for way, seen in readings(parameter, about, example.talk) if seen == value}
    if isinstance(value, str):
        found |= {f"after {words}" for words in _before(value, example.talk)}
    if value is OMITTED:
        found = {"omitted"}
    return found


def _before(value: str, talk: Talk) -> list[str]:
    """Return the one and two words that stand before a value where it was said last."""
    place = talk.said.lower().rfind(value.lower()) if value else -1
    words = (
        re.findall(r"[\w']+", talk.said[max(0, place - 60) : place].lower()) if place > 0 else []
    )
    return [" ".join(words[-count:]) for count in (2, 1) if len(words) >= count]


def _alike(
    example: Example, name: str, parameter: str, kind: str, tools: Mapping[str, Tool]
) -> list[tuple[str, Any]]:
    """Return an example's parameters that tell something about this one, with their values."""
    if example.name == name:
        return [(parameter, example.arguments.get(parameter, OMITTED))]
    if kind == "text":
        # texts are too different from API to API, unless they go by the same name
        return [(parameter, example.arguments[parameter])] if parameter in example.arguments else []
    tool = tools.get(example.name)
    about = (tool.arguments.get("properties") or {}) if tool else {}
    same_name = {parameter} & example.arguments.keys()
    same_kind = {p for p, told in about.items() if kind_of(p, told) == kind}
    return [
        (p, example.arguments[p]) for p in sorted(same_name | same_kind) if p in example.arguments
    ]


def _stand_in(example: Example, tools: Mapping[str, Tool]) -> dict[str, Tool]:
    schema = {"type": "object", "properties": {name: {} for name in example.arguments}}
    if example.name in tools:
        return {}
    return {example.name: Tool(name=example.name, description="", arguments=schema)}


def _own_words(shown: Shown) -> str:
    """Return the instructions without the agent's fixed prompt, as far as it can be told."""
    return shown.instructions.rpartition("Do not invent results.")[2]


def _report(shown: Shown) -> str:
    if shown.results:
        result = shown.results[-1]
    elif shown.talk.made:
        result = shown.talk.made[-1].result
    else:
        return "I cannot help with that."
    if re.match(r"(?:Error|Refused|Timed out)\b", result):
        return f"I am sorry, that did not work. {result[:300]}"
    return f"It is done. The result is {result[:300]}"


def _chance(request: Request) -> random.Random:
    data = [
        [message.to_json() for message in request.messages],
        [tool.to_json() for tool in request.tools],
        request.seed,
    ]
    return random.Random(content_hash(data))  # noqa: S311 - a model's whims


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARS_A_TOKEN)
