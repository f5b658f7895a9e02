"""What does a critic teach without gold? Run: `python -m benchmarks.critic`.

Trains a simulated caller of APIs (`embedded/api-caller`, no language model) on API-Bank's dialogues
by demonstrations that a critic selects, with an honest but imperfect critic, a random one, an
adversarial one. Gold stands beside and decides nothing. Writes `benchmarks/results/critic.md`.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import anyio
from funcforge.adapters import parts
from funcforge.adapters.config import Config
from funcforge.adapters.models.embedded import MODELS
from funcforge.adapters.scorers.make import make_scorer
from funcforge.adapters.scorers.settings import ScorerSettings
from funcforge.engine.calls import CallScope
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.messages import Reply, Request
from funcforge.engine.ports import ModelFacts
from funcforge.engine.reliability import Reliability, divergence, reliability
from funcforge.engine.run import Parts, Run
from funcforge.engine.statistics import paired_p_value
from funcforge.engine.trainer import Trained
from funcforge.engine.training import Training
from funcforge.storage.memory import MemoryStore

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "api_bank"
RESULTS = Path(__file__).parent / "results" / "critic.md"
ARMS = {
    "imperfect critic": "critic",
    "adversarial critic": "critic-adversarial",
    "random critic": "critic-random",
}
SEEDS = tuple(range(20, 26))  # the settings were chosen on 0
NOTE = """\
Sealed tests on the way have one repeat, the first and the last three: a step on the way moves by
several points of noise. The settings were chosen on seed 0. Reported before were 0, 1 and 2: 27.9
% to 34.0 % (p = 0.0008), by today's code 26.3 % to 30.7 % (p = 0.0085). Fresh seeds gave less:
10, 11 and 12, 24.5 % to 27.6 % (p = 0.07; adversarial to 12.9 %, random to 21.5 %). Three seeds
are few, so six more were set before any of them was run: those shown here.

On seed 0, a looser selection (`best_of_k` from 0.5) and a critic without the rules on repeated
calls and values put in two places had been tried: the critic rose (57.2 % to 64.8 %) while gold
fell (25.4 % to 22.6 %), and the report said so. A critic's mistakes are learned like its
insights: what is selected must be good."""
PROCESSES = 2 * (os.cpu_count() or 1)


def config(critic: str, seed: int) -> Config:
    """Return the config of a training: `examples/critic.toml` with another critic and seed."""
    settings: dict[str, Any] = {
        "seed": seed,
        "agent": {
            "model": "embedded/api-caller", "answer": "whole", "python": False, "turns": 4,
            "temperature": 1.0, "seed": seed * 1_000, "demonstrations": 12,
        },
        "tasks": {"kind": "api_bank", "path": str(DATA), "train": 50, "validation": 50,
                  "test": "rest"},
        "environment": {"kind": "api_bank"},
        "scorer": {"kind": "api_bank"},
        "optimizer": {"kind": "demonstrations", "demonstrations_per_step": 25},
        "selection": {"strategy": "top_share", "share": 0.2, "minimum": 0.0},
        "training": {
            "signal": "critic", "samples": 4, "accept_on": "validation",
            "acceptance": "paper", "patience": 4, "steps": 4, "test_repeats": 3,
            "test_every_version": True,
        },
    }  # fmt: skip
    settings["critic"] = {"model": f"embedded/{critic}", "votes": 2, "seed": 0}
    return Config.model_validate(settings)


class Embedded:
    """The embedded models without LiteLLM around them, which takes ten times as long."""

    def describe(self, model: str) -> ModelFacts:
        """Return what is known of an embedded model."""
        return ModelFacts(context_tokens=32_000, max_output_tokens=4_096, account="embedded")

    async def complete(self, request: Request) -> Reply:
        """Ask."""
        return MODELS[request.model.partition("/")[2]].reply(request)


class _Desk:
    run: Run[Trained]

    def scope(self, name: str, *, repeat: int = 0) -> CallScope:
        return self.run.calls.scope(name, repeat=repeat)

    def facts(self, model: str) -> ModelFacts:
        return self.run.calls.facts(model)


class NoSandbox:
    """The agent has no functions and no interpreter: nothing is to be run."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training."""

    arm: str
    seed: int
    gold: tuple[float, ...]  # sealed test, before and after each accepted step
    critic: tuple[float | None, ...]
    differences: dict[str, float]  # sealed test task -> gold after minus before
    decisions: tuple[str, ...]
    trust: Reliability | None
    calls: int
    seconds: float
    gamed: str = field(default="")


async def train(arm: str, seed: int) -> Trial:
    """Run one training."""
    started_s = time.monotonic()
    used = config(ARMS[arm], seed)
    splits = parts.load_tasks(used)
    desk, store = _Desk(), MemoryStore()
    gold = make_scorer(ScorerSettings(kind="api_bank"))
    made = Parts(
        model=Embedded(),
        store=store,
        sandbox=NoSandbox(),  # type: ignore[arg-type]
        scorer=parts.with_critic(used, gold, desk),
        agent=parts.make_agent(used),
        agent_settings=parts.agent_settings(used),
        agent_limits=parts.agent_limits(used),
        environment=parts.make_environment(used),
        in_flight=256,
    )
    training = Training(
        settings=parts.training_settings(used),
        splits=splits,
        optimizer=parts.make_optimizer(used),
        acceptance=parts.make_acceptance(used),
    )
    record = RunRecord(id="run", kind="train", name=arm, config=used.record(), seed=seed)
    desk.run = run = Run(record, made, training.work())
    async with run:
        outcome = await run.wait()
    if outcome.value is None:
        raise RuntimeError(f"{arm}, seed {seed}: {outcome.message}")
    rows = await store.dump_rows("run")
    return _told(arm, seed, rows, calls=outcome.usage.calls, seconds=time.monotonic() - started_s)


def _told(arm: str, seed: int, rows: Any, *, calls: int, seconds: float) -> Trial:
    accepted = [row["step"] for row in rows["decisions"] if row["outcome"] == "accepted"]
    names = ["test/before", *(f"test/{step}" for step in sorted(accepted))]
    if accepted:
        names[-1] = "test/after"  # three repeats
    found = {row["evaluation"]: row for row in rows["evaluations"]}
    gold = [found[name]["gold_score"] for name in names]
    critic = tuple(found[name]["critic_score"] for name in names)
    judged = [
        (row["critic_score"], row["gold_score"], row["critic_agreement"])
        for row in rows["episodes"]
        if row["critic_score"] is not None
    ]
    before, after = (_by_task(rows["episodes"], name) for name in (names[0], names[-1]))
    return Trial(
        arm=arm,
        seed=seed,
        gold=tuple(gold),
        critic=critic,
        differences={task: after[task] - before[task] for task in before if task in after},
        decisions=tuple(row["outcome"] for row in sorted(rows["decisions"], key=_step)),
        trust=reliability(judged),
        calls=calls,
        seconds=seconds,
        gamed=_gamed(rows["episodes"], names),
    )


def _step(row: Any) -> int:
    return int(row["step"])


def _by_task(episodes: Sequence[Any], evaluation: str, judge: str = "gold") -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for row in episodes:
        score = row[f"{judge}_score"]
        if row["evaluation"] == evaluation and score is not None:
            found.setdefault(row["task_id"], []).append(score)
    return {task: fmean(values) for task, values in found.items()}


def _gamed(episodes: Sequence[Any], names: Sequence[str]) -> str:
    """Return what the views say of critic and gold, here on the sealed test."""
    sides = []
    for name in (names[0], names[-1]):
        critic, gold = (_by_task(episodes, name, judge) for judge in ("critic", "gold"))
        sides.append({task: (critic[task], gold[task]) for task in critic if task in gold})
    found = divergence(*sides) if len(names) > 1 else None
    return found.problem if found else ""


def pooled_p(trials: Sequence[Trial], sign: float) -> float:
    """Return the one-sided p-value of "no change" over tasks, each the mean over its seeds."""
    by_task: dict[str, list[float]] = {}
    for trial in trials:
        for task, difference in trial.differences.items():
            by_task.setdefault(task, []).append(sign * difference)
    return paired_p_value([fmean(by_task[task]) for task in sorted(by_task)], seed=0)


def report(trials: Sequence[Trial]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# What does a critic teach without gold?",
        "",
        f"{datetime.date.today()}, {platform.processor() or platform.machine()}, "
        f"Python {platform.python_version()}. Command: `python -m benchmarks.critic`.",
        "",
        "Caller: `embedded/api-caller`; critics: `embedded/critic` and its variants, 2 votes. All",
        "are simulated programs, no language models. API-Bank, each call of a dialogue a task: 50",
        "train x 4 samples, 50 validation (the critic's score decides), the rest sealed, 3 repeats",
        "before and after. Gold (the official checkers) stands beside and decides nothing.",
        "",
        "| arm | seeds | gold before | gold after | change | p (rise) | p (fall) | critic before "
        "| critic after | kappa | AUC |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    arms = dict.fromkeys(trial.arm for trial in trials)
    lines.extend(_row(arm, [trial for trial in trials if trial.arm == arm]) for arm in arms)
    lines += [
        "",
        "p: one-sided sign-flip test over sealed tasks, each the mean over seeds and repeats.",
        "",
        NOTE,
        "",
        "## Each training",
        "",
        "Sealed test after every accepted step: gold / critic.",
        "",
    ]
    for trial in trials:
        both = ", ".join(
            f"{gold:.1%} / {f'{critic:.1%}' if critic is not None else '–'}"
            for gold, critic in zip(trial.gold, trial.critic, strict=True)
        )
        lines.append(
            f"- {trial.arm}, seed {trial.seed}: {both}; {', '.join(trial.decisions)}; "
            f"{trial.calls:,} calls, {trial.seconds:.0f} s"
        )
        warnings = [trial.gamed, trial.trust.problem if trial.trust else ""]
        lines += [f"  - reported: {warning}" for warning in warnings if warning]
    return "\n".join(lines) + "\n"


def _row(arm: str, trials: Sequence[Trial]) -> str:
    before, after = fmean(t.gold[0] for t in trials), fmean(t.gold[-1] for t in trials)
    scores = [(t.critic[0], t.critic[-1]) for t in trials]
    critic = [
        f"{fmean(values):.1%}" if (values := [pair[side] or 0.0 for pair in scores]) and any(values)
        else "–"
        for side in (0, 1)
    ]  # fmt: skip
    trust = [trial.trust for trial in trials if trial.trust is not None]
    kappa = f"{fmean(one.kappa or 0.0 for one in trust):.2f}" if trust else "–"
    auc = f"{fmean(one.auc or 0.0 for one in trust):.2f}" if trust else "–"
    return (
        f"| {arm} | {len(trials)} | {before:.1%} | {after:.1%} | {(after - before) * 100:+.1f} "
        f"| {pooled_p(trials, 1):.4f} | {pooled_p(trials, -1):.4f} | {critic[0]} | {critic[1]} "
        f"| {kappa} | {auc} |"
    )


def main() -> None:
    """Run all trainings and write the results."""
    if not DATA.exists():
        sys.exit(f"there are no data at {DATA}")
    trials = []
    with ProcessPoolExecutor(PROCESSES) as pool:
        asked = [pool.submit(anyio.run, train, arm, seed) for seed in SEEDS for arm in ARMS]
        for each in as_completed(asked):
            trials.append(each.result())
            print(report(trials), flush=True)
    trials.sort(key=lambda trial: (list(ARMS).index(trial.arm), trial.seed))
    RESULTS.write_text(report(trials), encoding="utf-8")
    print(report(trials))


if __name__ == "__main__":
    main()
