"""A model as critic: votes by a rubric, with self-agreement; comparisons in both orders.

Source: the idea is that of arXiv 2411.19547, whose critic prompt and dimensions were not found;
the rubric is ours. Votes and their agreement follow self-consistency (Wang et al., arXiv
2203.11171), asking in both orders Zheng et al. (arXiv 2306.05685, section 3.4: position bias).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any, Generic, Literal, Protocol, TypeVar

from ..critic import Judgement, Preference
from ..episode import Episode
from ..errors import ConfigError, CriticError, InvalidReply, RequestRefused
from ..judgement import agreement_of
from ..messages import Message, Reply, Request
from ..optimizers.blocks import byte_size, tokens, whole
from ..ports import ModelFacts
from ..scope import CallScope
from ..tasks import Task
from ..together import together
from ..workspace import cut
from .prompt import Material, show_pair, show_trajectory
from .rubric import Rubric, again, prefer_format, prefer_schema
from .verdicts import Comparison, Vote, read_comparison, read_vote

Read = TypeVar("Read")

VOTING_TEMPERATURE = 0.7  # several votes at temperature 0 would be one vote, said several times
_ECHO_CHARACTERS = 2_000  # of a reply that was no verdict, shown to its author again
_OVERHEAD_TOKENS = 100  # of chat templates
_SMALLEST_SHARE = 0.1
_KEPT = 1_000  # episodes whose judgement broke off; their answered votes wait for another attempt


class Desk(Protocol):
    """Where a critic asks its model: within the run's budget, limits and journal."""

    def scope(self, name: str, *, repeat: int = 0) -> CallScope:
        """Return a numbered series of calls."""
        ...

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticSettings:
    """How a critic's model is asked."""

    model: str  # provider/model
    rubric: Rubric = field(default_factory=Rubric)
    votes: int = 1
    tries: int = 3  # replies of one vote until it is in the agreed form
    temperature: float | None = None  # None: 0 for one vote, 0.7 for several
    seed: int | None = None  # of the first vote, counting up; None: not sent
    reply_tokens: int = 1_024
    prompt_tokens: int | None = None  # None: what the model's context window leaves
    structured: bool = True  # ask the provider for JSON of the verdict's form


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked in every try of one vote or comparison."""

    system: str
    form: str  # how the verdict is spelled, told again with each objection
    schema: Mapping[str, Any]
    show: Callable[[int], Material]  # prompt tokens -> the material


@dataclass(slots=True)
class _Asked(Generic[Read]):
    """What all votes came to: (vote, whether its material was cut), in order."""

    valid: list[tuple[Read, bool]] = field(default_factory=list)
    problem: str = ""  # of the last vote that was none


class ModelCritic:
    """A `Critic` that asks a model.

    A judgement needs valid votes from more than half of those asked; the others are left out.

    Raises:
        ConfigError: A number makes no sense.
    """

    def __init__(self, settings: CriticSettings, desk: Desk) -> None:
        if settings.votes < 1 or settings.tries < 1 or settings.reply_tokens < 1:
            raise ConfigError("votes, tries and reply_tokens must be at least 1", key="critic")
        self._settings = settings
        self._desk = desk
        self._broken_off: OrderedDict[str, list[CallScope]] = OrderedDict()

    async def judge(self, task: Task, episode: Episode) -> Judgement:
        """Ask for every vote at once and put them together."""
        settings = self._settings
        rubric = settings.rubric
        question = _Question(
            system=rubric.judge_prompt(),
            form=rubric.judge_format(),
            schema=rubric.judge_schema(),
            show=partial(show_trajectory, task, episode),
        )
        scopes = self._scopes(f"critic/{episode.id}", settings.votes, episode.job.repeat)
        asked = await self._ask_all(scopes, question, partial(read_vote, names=rubric.names))
        votes = [vote for vote, _ in asked.valid]
        if 2 * len(votes) <= settings.votes:
            raise CriticError(
                f"the critic {settings.model} gave a valid verdict in {len(votes)} of "
                f"{settings.votes} votes, with up to {settings.tries} replies each; "
                f"the last problem: {asked.problem}"
            )
        return _judgement(episode, votes, cut=any(cut for _, cut in asked.valid))

    async def prefer(self, task: Task, a: Episode, b: Episode, *, within: str = "") -> Preference:
        """Compare in both orders; what only one order says is a tie."""
        settings = self._settings
        rubric = settings.rubric
        name = f"critic/{within}/{a.id}.{b.id}" if within else f"critic/{a.id}.{b.id}"
        found: list[Comparison] = []
        for order, (first, second) in enumerate(((a, b), (b, a))):
            question = _Question(
                system=rubric.prefer_prompt(),
                form=prefer_format(),
                schema=prefer_schema(),
                show=partial(show_pair, task, first, second),
            )
            [scope] = self._scopes(f"{name}/{order}", 1, 0)
            asked = await self._ask_all([scope], question, read_comparison)
            if not asked.valid:
                raise CriticError(
                    f"the critic {settings.model} compared nothing in {settings.tries} replies; "
                    f"the last problem: {asked.problem}"
                )
            found.append(asked.valid[0][0])
        return _preference(*found)

    # -- one vote ---------------------------------------------------------------------------

    def _scopes(self, name: str, count: int, repeat: int) -> list[CallScope]:
        """Return a series of calls per vote; those of an attempt that broke off go on."""
        known = self._broken_off.pop(name, None)
        if known is not None:
            for scope in known:
                scope.rewind()
            return known
        return [
            # equal requests of different votes are different draws, also in the cache
            self._desk.scope(f"{name}/{number}", repeat=repeat * count + number)
            for number in range(count)
        ]

    async def _ask_all(
        self, scopes: Sequence[CallScope], question: _Question, read: Callable[[Reply], Read]
    ) -> _Asked[Read]:
        found: dict[int, tuple[Read, bool] | str] = {}

        async def ask(number: int) -> None:
            found[number] = await self._ask(scopes[number], number, question, read)

        try:
            await together(*(partial(ask, number) for number in range(len(scopes))))
        except BaseException:
            name = scopes[0].name.rpartition("/")[0]
            self._broken_off[name] = list(scopes)
            if len(self._broken_off) > _KEPT:
                self._broken_off.popitem(last=False)
            raise
        asked: _Asked[Read] = _Asked()
        for number in sorted(found):
            one = found[number]
            if isinstance(one, str):
                asked.problem = one
            else:
                asked.valid.append(one)
        return asked

    async def _ask(
        self, scope: CallScope, number: int, question: _Question, read: Callable[[Reply], Read]
    ) -> tuple[Read, bool] | str:
        """Return what one vote says and whether it saw a shortened trajectory, or the problem."""
        objections: list[Message] = []
        share = 1.0
        tries = 0
        problem = ""
        while tries < self._settings.tries:
            material = question.show(self._room(question, objections, share))
            try:
                reply = await scope.complete(self._request(question, material, objections, number))
            except RequestRefused as error:
                if error.kind == "context_too_long" and share > _SMALLEST_SHARE:
                    share /= 2  # the estimate of tokens was too low for this text
                    continue
                if error.kind == "content_filter":
                    return f"the provider refused the prompt: {error}"
                raise
            tries += 1
            if reply.finish == "content_filter":
                return "the provider's content filter cut the reply off"
            try:
                return read(reply), material.cut
            except InvalidReply as error:
                problem = str(error)
                said = whole(cut(reply.message.content.strip(), _ECHO_CHARACTERS))
                objections = [
                    Message(role="assistant", content=said or "(empty message)"),
                    Message(role="user", content=again(problem, question.form)),
                ]
        return problem

    def _request(
        self, question: _Question, material: Material, objections: Sequence[Message], number: int
    ) -> Request:
        settings = self._settings
        temperature = settings.temperature
        if temperature is None:
            temperature = 0.0 if settings.votes == 1 else VOTING_TEMPERATURE
        return Request(
            model=settings.model,
            messages=(
                Message(role="system", content=question.system),
                Message(role="user", content=material.text),
                *objections,
            ),
            max_tokens=self._reply_tokens(),
            temperature=temperature,
            seed=None if settings.seed is None else settings.seed + number,
            json_schema=question.schema if settings.structured else None,
        )

    def _reply_tokens(self) -> int:
        facts = self._desk.facts(self._settings.model)
        return min(
            self._settings.reply_tokens, facts.max_output_tokens, max(facts.context_tokens // 4, 1)
        )

    def _room(self, question: _Question, objections: Sequence[Message], share: float) -> int:
        room = self._desk.facts(self._settings.model).context_tokens - self._reply_tokens()
        if self._settings.prompt_tokens is not None:
            room = min(room, self._settings.prompt_tokens)
        texts = (question.system, *(message.content for message in objections))
        used = sum(tokens(byte_size(text)) for text in texts)
        return int(room * share) - used - _OVERHEAD_TOKENS


def _judgement(episode: Episode, votes: Sequence[Vote], *, cut: bool) -> Judgement:
    score = fmean(vote.score for vote in votes)
    nearest = min(votes, key=lambda vote: abs(vote.score - score))  # the earliest of equals
    return Judgement(
        episode_id=episode.id,
        score=score,
        dimensions={
            name: fmean(vote.dimensions[name] for vote in votes) for name in nearest.dimensions
        },
        votes=tuple(vote.score for vote in votes),
        agreement=agreement_of([vote.score for vote in votes]),
        reason=nearest.reason,
        cut=cut,
    )


def _preference(ab: Comparison, ba: Comparison) -> Preference:
    names: dict[str, Literal["a", "b"] | None] = {"first": "a", "second": "b", "tie": None}
    swapped: dict[str, Literal["a", "b"] | None] = {"first": "b", "second": "a", "tie": None}
    one, other = names[ab.better], swapped[ba.better]
    if one == other:
        return Preference(better=one, reason=ab.reason)
    return Preference(better=None, consistent=False, reason=ab.reason)
