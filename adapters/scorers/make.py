"""Builds the scorer that a config names, fenced: a verdict in time and in [0, 1], or an error."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import anyio

from ...engine.episode import Episode, Score
from ...engine.errors import ConfigError, FuncforgeError, ScorerError
from ...engine.ports import Scorer
from ...engine.tasks import Task
from .gsm8k import gsm8k
from .math import MathScorer
from .model_graded import Judge, ModelGraded
from .rules import Rule, exact, gaia, multiple_choice, numeric, text_overlap
from .settings import ScorerSettings
from .tabmwp import tabmwp
from .user import own_scorer

KINDS = (
    "exact", "numeric", "multiple_choice", "text_overlap", "math", "gsm8k", "tabmwp", "gaia",
    "model_graded", "api_bank",
)  # fmt: skip
_SHOWN_TRACE = 4_000
_SHOWN_ERROR = 500  # characters; the trace may be cut off behind it


def needs_target(kind: str) -> bool:
    """Whether a scorer compares with a right answer; a person's own decides for itself."""
    return kind in KINDS and kind != "model_graded"


def make_scorer(settings: ScorerSettings, judge: Judge | None = None) -> FencedScorer:
    """Build a scorer. `async with` it, so that what it starts is kept, and ended with the run.

    Args:
        settings: Which one.
        judge: How `model_graded` asks its model.

    Raises:
        ConfigError: The kind is unknown, or a setting does not suit it.
    """
    if settings.timeout_s <= 0:
        raise ConfigError("must be more than 0", key="scorer.timeout_s")
    return FencedScorer(_scorer(settings, judge), settings.timeout_s)


class FencedScorer:
    """A scorer that gives a score in [0, 1] in time, or raises `ScorerError` with the reason."""

    def __init__(self, scorer: Scorer, timeout_s: float) -> None:
        self._scorer = scorer
        self._timeout_s = timeout_s
        # a rule never waits; the algebra bounds each comparison, and they wait for one another;
        # a judge's calls have the limits and retries of any model call
        self._bounds_itself = isinstance(scorer, RuleScorer | MathScorer | ModelGraded)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> FencedScorer:
        if isinstance(self._scorer, MathScorer):
            await self._stack.enter_async_context(self._scorer)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()

    async def __call__(self, task: Task, episode: Episode) -> Score:
        """Judge an episode.

        Raises:
            ScorerError: The scorer raised, took too long, or returned no score in [0, 1].
            FuncforgeError: What else the engine knows how to handle, such as a ModelError.
        """
        score: Any = None
        if self._bounds_itself:
            score = await self._judge(task, episode)
        else:
            with anyio.move_on_after(self._timeout_s) as deadline:
                score = await self._judge(task, episode)
            if deadline.cancelled_caught:
                raise ScorerError(
                    f"the scorer gave no verdict on task {task.id} within {self._timeout_s:g} s"
                )
        if not isinstance(score, Score) or not _in_range(score.value):
            found = score.value if isinstance(score, Score) else score
            raise ScorerError(
                f"the scorer gave {found!r:.200} for task {task.id}; a score lies in [0, 1]"
            )
        return score

    async def _judge(self, task: Task, episode: Episode) -> Any:
        try:
            return await self._scorer(task, episode)
        except FuncforgeError:
            raise
        except Exception as error:  # the fence: a person's scorer may raise anything
            raise ScorerError(
                f"the scorer raised {type(error).__name__} on task {task.id}: "
                f"{str(error)[:_SHOWN_ERROR]}\n{_trace(error)}"
            ) from error


def _scorer(settings: ScorerSettings, judge: Judge | None) -> Scorer:
    rules: dict[str, Callable[[], Rule]] = {
        "exact": lambda: exact,
        "numeric": lambda: numeric(settings.tolerance, settings.relative_tolerance),
        "multiple_choice": lambda: multiple_choice,
        "text_overlap": lambda: text_overlap(str(settings.options.get("measure", "f1"))),
        "gsm8k": lambda: gsm8k,
        "tabmwp": lambda: tabmwp,
        "gaia": lambda: gaia,
    }
    if settings.kind in rules:
        try:
            return RuleScorer(rules[settings.kind]())
        except ValueError as error:
            raise ConfigError(str(error), key="scorer") from None
    if settings.kind == "math":
        return MathScorer(timeout_s=settings.timeout_s)
    if settings.kind == "model_graded":
        return ModelGraded(settings, judge)
    if settings.kind == "api_bank":
        from .api_bank import api_bank

        return api_bank
    if ":" in settings.kind:
        return own_scorer(settings)
    allowed = ", ".join(KINDS)
    raise ConfigError(
        f"there is no scorer {settings.kind!r}; allowed are {allowed}, module:function and "
        "file.py:function",
        key="scorer.kind",
    )


@dataclass(frozen=True, slots=True)
class RuleScorer:
    """Judges an episode's answer by a rule; no answer scores 0."""

    rule: Rule

    async def __call__(self, task: Task, episode: Episode) -> Score:
        """Judge an episode."""
        if task.target is None:
            raise ScorerError(f"task {task.id} has no target to compare with")
        if episode.answer is None:
            return Score(value=0.0, comment="no answer")
        return self.rule(episode.answer, task.target, task)


def _in_range(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-_SHOWN_TRACE:]
