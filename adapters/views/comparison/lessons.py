"""What a comparison learned itself: its trainings, each a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....engine.errors import RunNotFound
from ....engine.usage import NO_USAGE, Usage
from ....storage.runs import RunReader
from ...lessons import lesson_id
from ..story import Scored, Story, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonStory:
    """One training of a comparison and what came of it."""

    name: str  # what the matrices call the learned set
    model: str  # that learned
    categories: tuple[str, ...]  # of its tasks; empty: all
    run_id: str
    status: str  # of the run; "not begun"
    message: str = ""
    steps: int = 0
    accepted: int = 0
    functions: tuple[str, ...] = ()
    before: Scored | None = None  # on the tasks that its steps were decided on
    after: Scored | None = None
    usage: Usage = NO_USAGE
    seconds: float = 0.0

    def is_home(self, model: str, category: str) -> bool:
        """Whether it was learned on just this: the model, or the category of tasks."""
        return category in self.categories if category else model == self.model


def read_lessons(story: Story, path: str | Path) -> tuple[LessonStory, ...]:
    """Return the trainings of a stored comparison.

    Args:
        story: The comparison's own run.
        path: Its database.

    Raises:
        StoreError: The database cannot be read.
    """
    compare = story.config.get("compare")
    wanted = list(_wanted(compare if isinstance(compare, Mapping) else {}, story.config))
    if not wanted:
        return ()
    with RunReader(path) as reader:
        return tuple(
            _lesson(reader, lesson_id(story.run_id, number), *one)
            for number, one in enumerate(wanted, start=1)
        )


def _wanted(
    compare: Mapping[str, Any], config: Mapping[str, Any]
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (name, model, categories) of each training, in the order of the config."""
    from ...config.sections import lesson_name

    agent = config.get("agent")
    usual = str(agent.get("model", "")) if isinstance(agent, Mapping) else ""
    found = [
        (str(one["name"]), str(one.get("model") or usual), tuple(map(str, one["categories"])))
        for one in compare.get("trained", ())
    ]
    models = compare.get("models", ()) if compare.get("train") else ()
    return [*found, *((lesson_name(model), str(model), ()) for model in models)]


def _lesson(
    reader: RunReader, run_id: str, name: str, model: str, categories: tuple[str, ...]
) -> LessonStory:
    try:
        run = tell(reader.view(run_id))
    except RunNotFound:
        return LessonStory(
            name=name, model=model, categories=categories, run_id=run_id, status="not begun"
        )
    return LessonStory(
        name=name,
        model=model,
        categories=categories,
        run_id=run_id,
        status=run.status,
        message=run.message,
        steps=len(run.steps),
        accepted=sum(step.accepted for step in run.steps),
        functions=tuple(function.name for function in run.final.functions),
        before=run.before.get(run.deciding),
        after=run.after.get(run.deciding),
        usage=run.usage,
        seconds=run.seconds,
    )
