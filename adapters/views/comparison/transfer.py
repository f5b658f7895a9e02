"""What was learned on one model, or on one kind of task, elsewhere: against untrained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....engine.contrast import Contrast, contrasts, holm
from ....engine.statistics import interval
from .story import ArmStory, ComparisonStory


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferCell:
    """One learned set on one model, over all tasks or those of one category."""

    learned: str  # row: where the parameters come from
    model: str
    category: str  # empty: all tasks
    arm: str
    base: str  # the untrained arm of the same model; empty: there is none
    score: float
    low: float
    high: float
    tasks: int
    gain: float | None = None  # over the untrained arm, on the tasks that both have a score on
    gain_low: float | None = None
    gain_high: float | None = None
    p_holm: float | None = None  # corrected over the cells of its matrix
    sure: bool = False  # whether the gain is told from none at the comparison's alpha
    home: bool = False  # learned on this very model, or on tasks of this category


def transfer(story: ComparisonStory) -> list[TransferCell]:
    """Return every learned set on every model that has an untrained arm, untrained ones first."""
    bases = _bases(story)
    learned = [arm for arm in story.arms if arm.learned and arm.model in bases and arm.finished]
    if not learned:
        return []
    untrained = [_cell(story, arm, None, "") for arm in bases.values()]
    return [*untrained, *_corrected(story, [_cell(story, a, bases[a.model], "") for a in learned])]


def by_category(story: ComparisonStory) -> list[TransferCell]:
    """Return every arm on every category of tasks; learned ones against their untrained arm."""
    bases = _bases(story)
    kinds = sorted(set(story.categories.values()))
    cells = [
        _cell(story, arm, bases.get(arm.model) if arm.learned else None, kind)
        for arm in story.arms
        if arm.finished
        for kind in kinds
    ]
    return _corrected(story, cells)


def _bases(story: ComparisonStory) -> dict[str, ArmStory]:
    """Return model -> its first untrained arm that has a score."""
    found: dict[str, ArmStory] = {}
    for arm in story.arms:
        if not arm.learned and arm.finished:
            found.setdefault(arm.model, arm)
    return found


def _cell(
    story: ComparisonStory, arm: ArmStory, base: ArmStory | None, category: str
) -> TransferCell:
    mine = _of_category(story, arm.name, category)
    estimate = interval(mine, 1 - story.alpha)
    lesson = next((one for one in story.lessons if one.name == arm.learned), None)
    cell = TransferCell(
        home=lesson is not None and lesson.is_home(arm.model, category),
        learned=arm.learned,
        model=arm.model,
        category=category,
        arm=arm.name,
        base=base.name if base else "",
        score=estimate.score,
        low=estimate.low,
        high=estimate.high,
        tasks=estimate.tasks,
    )
    if base is None:
        return cell
    sides = {base.name: _of_category(story, base.name, category), arm.name: mine}
    (pair,) = contrasts(sides, alpha=story.alpha, seed=story.run.seed)
    return _with_gain(cell, pair)


def _with_gain(cell: TransferCell, pair: Contrast) -> TransferCell:
    if not pair.tasks:
        return cell
    return replace(
        cell,
        gain=pair.difference,
        gain_low=pair.low,
        gain_high=pair.high,
        p_holm=pair.p_value,
    )


def _corrected(story: ComparisonStory, cells: list[TransferCell]) -> list[TransferCell]:
    """Correct the p-values for how many cells there are."""
    tested = [place for place, cell in enumerate(cells) if cell.p_holm is not None]
    corrected = holm([cells[place].p_holm or 0.0 for place in tested])
    for place, p_value in zip(tested, corrected, strict=True):
        cells[place] = replace(cells[place], p_holm=p_value, sure=p_value <= story.alpha)
    return cells


def _of_category(story: ComparisonStory, arm: str, category: str) -> dict[str, list[float | None]]:
    return {
        task: list(scores)
        for task, scores in story.scores[arm].items()
        if not category or story.categories.get(task) == category
    }
