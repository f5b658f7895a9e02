"""A critic and gold side by side: what the views tell of a run that has a critic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...engine.reliability import Divergence, Reliability
from .text import percent, plural

if TYPE_CHECKING:
    from .story import Scored, Step, Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What both judges said of one version on the tasks that decide."""

    label: str  # "start", "step 3"
    outcome: str  # of the step; "start" for the first
    critic: float | None
    gold: float | None
    in_use: bool  # whether it became the version in use


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The critic of a run."""

    signal: str  # whose verdict is learned from: critic, gold
    accept_by: str  # whose verdict decides on held-out tasks
    versions: tuple[Judged, ...]
    reliability: Reliability
    divergence: Divergence | None  # None: no two versions have both verdicts
    warnings: tuple[str, ...]  # why not to trust it; empty: no reason found


def judges_of(
    reliability: Reliability | None,
    config: Mapping[str, Any],
    before: Scored | None,
    steps: Iterable[Step],
    divergence: Divergence | None = None,
) -> Judges | None:
    """Return what there is to tell of the critic; None where there is none.

    Args:
        before: The first score on the tasks that decide.
        divergence: How both judges moved from the first version to the last.
    """
    if reliability is None:
        return None
    versions = tuple(_versions(before, steps))
    training = config.get("training")
    settings: Mapping[str, Any] = training if isinstance(training, Mapping) else {}
    signal = str(settings.get("signal", "gold"))
    by_gold = signal == "gold" or settings.get("accept_by") == "gold"
    gamed = divergence.problem if divergence else ""
    return Judges(
        signal=signal,
        accept_by="gold" if by_gold else "critic",
        versions=versions,
        reliability=reliability,
        divergence=divergence,
        warnings=tuple(warning for warning in (reliability.problem, gamed) if warning),
    )


def judges_json(story: Story) -> dict[str, Any] | None:
    """Return the critic for `--json`; None where there is none."""
    judges = story.judges
    if judges is None:
        return None
    return {
        "signal": judges.signal,
        "accept_by": judges.accept_by,
        "versions": [asdict(one) for one in judges.versions],
        "reliability": asdict(judges.reliability),
        "divergence": asdict(judges.divergence) if judges.divergence else None,
        "warnings": list(judges.warnings),
    }


def figures(reliability: Reliability) -> list[tuple[str, str]]:
    """Return the figures of a critic with their names, for people."""
    found = [
        ("judged", plural(reliability.episodes, "episode")),
        ("mean score", f"{percent(reliability.mean)} ± {reliability.spread * 100:.1f}"),
        ("says yes", percent(reliability.yes_share)),
        ("agrees with itself", percent(reliability.self_agreement)),
    ]
    if not reliability.compared:
        return [*found, ("against gold", "there is no gold to compare with")]
    agreement = reliability.agreement or 0.0
    return [
        *found,
        ("gold says yes", f"{_share(reliability.gold_yes_share)} of {reliability.compared}"),
        ("agrees with gold", percent(agreement)),
        ("Cohen's kappa", _number(reliability.kappa)),
        ("right above wrong", _share(reliability.auc)),
        ("Brier score", _number(reliability.brier)),
        ("calibration error", _share(reliability.calibration_error)),
    ]


def _versions(before: Scored | None, steps: Iterable[Step]) -> Iterator[Judged]:
    if before is not None:
        yield Judged(
            label="start",
            outcome="start",
            critic=before.critic.score if before.critic else None,
            gold=before.gold.score if before.gold else None,
            in_use=True,
        )
    for step in steps:
        if step.critic is not None or step.gold is not None:
            yield Judged(
                label=f"step {step.step}",
                outcome=step.outcome,
                critic=step.critic,
                gold=step.gold,
                in_use=step.accepted,
            )


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "not defined" if value is None else percent(value)
