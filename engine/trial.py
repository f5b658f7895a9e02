"""Puts a candidate against the incumbent until the policy decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .acceptance import Acceptance, Evidence, Scores, Verdict, Wave, joined
from .episode import Episode
from .evaluation import Evaluation, Evaluator, SoFar
from .parameters import Parameters
from .tasks import Task, TaskSet
from .together import together
from .usage import NO_USAGE, Usage

Pairs = Sequence[tuple[str, int]]
"""(task id, repeat)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was seen of both sides when the policy decided."""

    verdict: Verdict
    incumbent: Scores
    candidate: Scores
    episodes: tuple[Episode, ...] = ()  # the candidate's
    evaluations: tuple[str, ...] = ()  # the names under which the candidate's are stored
    usage: Usage = NO_USAGE  # of the candidate's episodes
    spent: Usage = NO_USAGE  # of the episodes of both sides, failed ones as well


@dataclass(slots=True)
class _Observed:
    """Both sides so far."""

    evidence: Evidence
    episodes: list[Episode]
    evaluations: list[str]
    spent: Usage = NO_USAGE


async def try_candidate(
    acceptance: Acceptance,
    evaluator: Evaluator,
    evidence: Evidence,
    *,
    name: str,
    tasks: TaskSet,
    incumbent: Parameters,
    candidate: Parameters,
) -> Trial:
    """Run the waves that the policy asks for until it gives a verdict.

    Args:
        evidence: With the incumbent's outcomes so far and none of the candidate's.
        name: Of the first wave's evaluation; later waves add ".2", ".3", ...

    Raises:
        EvaluationVoid, BudgetExhausted, Interrupted, ModelError, StoreError: See `Evaluator`.
    """
    seen = _Observed(evidence, [], [])
    while isinstance(answer := acceptance.judge(seen.evidence), Wave):
        number = len(seen.evaluations) + 1
        wave_name = name if number == 1 else f"{name}.{number}"
        found = await _run_wave(
            evaluator, answer, wave_name, tasks, incumbent, candidate, seen.evidence
        )
        ours, theirs = found.get("candidate"), found.get("incumbent")
        seen.evidence = replace(
            seen.evidence,
            candidate=joined(seen.evidence.candidate, ours.scores if ours else {}),
            incumbent=joined(seen.evidence.incumbent, theirs.scores if theirs else {}),
        )
        seen.episodes.extend(ours.episodes if ours else ())
        seen.evaluations.append(wave_name)
        seen.spent += sum((side.summary.usage for side in found.values()), NO_USAGE)
    return Trial(
        verdict=answer,
        incumbent=seen.evidence.incumbent,
        candidate=seen.evidence.candidate,
        episodes=tuple(seen.episodes),
        evaluations=tuple(seen.evaluations),
        usage=sum((episode.usage for episode in seen.episodes), NO_USAGE),
        spent=seen.spent,
    )


async def _run_wave(
    evaluator: Evaluator,
    wave: Wave,
    name: str,
    tasks: TaskSet,
    incumbent: Parameters,
    candidate: Parameters,
    evidence: Evidence,
) -> Mapping[str, Evaluation]:
    """Run both sides of a wave at once."""
    found: dict[str, Evaluation] = {}
    before = {"candidate": evidence.candidate, "incumbent": evidence.incumbent}

    async def run(side: str, name: str, version: Parameters, pairs: Pairs) -> None:
        found[side] = await evaluator.evaluate(
            name,
            version,
            selected(tasks, pairs),
            planned=len(pairs),
            so_far=SoFar.of(before[side], len(evidence.tasks)),
        )

    works = []
    if wave.candidate:
        works.append(partial(run, "candidate", name, candidate, wave.candidate))
    if wave.incumbent:
        works.append(partial(run, "incumbent", f"{name}/incumbent", incumbent, wave.incumbent))
    await together(*works)
    return found


def selected(tasks: TaskSet, pairs: Pairs) -> Iterator[tuple[Task, int]]:
    """Stream the tasks named in `pairs`, each as often as it is named."""
    repeats: dict[str, list[int]] = {}
    for task_id, repeat in pairs:
        repeats.setdefault(task_id, []).append(repeat)
    for task in tasks:
        for repeat in repeats.get(task.id, ()):
            yield task, repeat
