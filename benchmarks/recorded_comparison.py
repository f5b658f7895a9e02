"""Does the report say of a published replication what it published, and rightly what it shows?

The 20 recorded runs (two of the replication's three, five types of MATH) become one stored
comparison: `direct` without functions against `trained` with those of its ten epochs, on the same
400 problems, two repeats. Its verdicts are checked against scipy's own tests.

    python -m benchmarks.recorded_comparison [--data FOLDER] [--out FILE] [--page FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from funcforge.adapters.views.comparison.page import render_page
from funcforge.adapters.views.comparison.story import ComparisonStory, read_comparison
from funcforge.adapters.views.comparison.transfer import by_category
from funcforge.engine.arm import evaluation_of
from funcforge.engine.checkpoint import CallRecord, RunRecord
from funcforge.engine.episode import Episode, Job, Score
from funcforge.engine.events import (
    EpisodeFinished,
    EvaluationFinished,
    EvaluationStarted,
    RunFinished,
)
from funcforge.engine.messages import Message, Reply, Request, ToolCall
from funcforge.engine.parameters import Parameters
from funcforge.engine.usage import Usage
from funcforge.storage.database import open_store
from funcforge.storage.runs import RunReader
from scipy.stats import permutation_test, ttest_rel

from benchmarks.recorded_calls import DATA, rows

RESULTS = Path(__file__).parent / "results" / "recorded_comparison.md"
MODEL = "openai/gpt-4o-mini-2024-07-18"
PROMPT_PUSD, COMPLETION_PUSD = 150_000, 600_000  # 0.15 and 0.60 USD per million
ARMS = {"direct": "direct", "trained": "test"}  # arm -> phase of the recording
# the replication's means of three runs, METHODS A: direct, trained
PUBLISHED = {
    "algebra": (88.3, 85.8),
    "counting_and_probability": (83.8, 79.2),
    "number_theory": (79.6, 75.4),
    "prealgebra": (80.8, 76.2),
    "precalculus": (58.8, 58.8),
}


def episode(row: dict[str, Any], arm: str, version: str) -> Episode:
    """Return a recorded conversation as an episode, with the verdict that was published."""
    job = Job(
        evaluation=evaluation_of(arm), parameters_version=version,
        task_id=f"{row['type']}-{row['index']:02}", repeat=int(row["run"][-1]),
    )  # fmt: skip
    messages = tuple(
        Message(
            role=one["role"],
            content=one["content"] or "",
            tool_calls=tuple(ToolCall(**call) for call in one.get("tool_calls") or ()),
            tool_call_id=one.get("tool_call_id"),
        )
        for one in row["messages"]
    )
    prompt, completion = row["prompt_tokens"], row["completion_tokens"]
    usage = Usage(
        calls=sum(message.role == "assistant" for message in messages),
        prompt_tokens=prompt, completion_tokens=completion,
        cost_pusd=prompt * PROMPT_PUSD + completion * COMPLETION_PUSD,
    )  # fmt: skip
    return Episode(
        id=job.episode_id, run_id="run", job=job, prompt=row["problem"], messages=messages,
        answer=row["last_boxed"], end=row["end"], usage=usage,
        score=Score(value=float(row["is_correct"]), comment=f"true answer {row['answer']}"),
        metadata={"category": row["type"], "level": row["level"]},
    )  # fmt: skip


async def store(path: Path, data: Path) -> None:
    """Store the recorded runs as a comparison, by the events and calls of a run."""
    recorded = list(rows(data / "episodes.jsonl.gz"))
    compare = {
        "arms": [{"name": "direct", "model": MODEL},
                 {"name": "trained", "model": MODEL, "parameters": {"source": "10 epochs"}}],
        "repeats": 2, "alpha": 0.05,
    }  # fmt: skip
    async with open_store(str(path)) as database:
        await database.begin(
            RunRecord(id="run", kind="compare", name="replication of AgentOptimizer on MATH",
                      config={"compare": compare}, seed=0, sandbox="recorded")
        )  # fmt: skip
        for arm, phase in ARMS.items():
            parameters = Parameters(model=MODEL, instructions=arm)
            evaluation = evaluation_of(arm)
            await database.handle(
                EvaluationStarted(
                    run_id="run", evaluation=evaluation, parameters=parameters, episodes=800
                )
            )
            for row in recorded:
                if row["phase"] == phase:
                    await _keep(database, episode(row, arm, parameters.version))
            await database.handle(
                EvaluationFinished(
                    run_id="run", evaluation=evaluation, parameters_version=parameters.version,
                    score=0.0, low=0.0, high=1.0, tasks=400, episodes=800, failed=0,
                )
            )  # fmt: skip
        await database.handle(RunFinished(run_id="run", status="done", stopped_by="done"))


async def _keep(database: Any, one: Episode) -> None:
    request = Request(model=MODEL, messages=(Message(role="user", content=one.prompt),))
    # the conversation's calls as one: only their sums were recorded
    record = CallRecord(
        run_id="run", scope=one.id, index=0, repeat=one.job.repeat, request_hash=request.hash,
        request=request,
        reply=Reply(message=Message(role="assistant"), finish="stop", usage=one.usage),
    )  # fmt: skip
    await database.commit_call(record)
    await database.handle(EpisodeFinished(run_id="run", episode=one))


def read(path: Path) -> ComparisonStory:
    """Read it back as the views do."""
    with RunReader(path) as reader:
        return read_comparison(reader.view("run"), reader.path)


def solved(story: ComparisonStory, arm: str, kind: str, repeat: int) -> int:
    """Return how many problems of a type a run solved, by the report's own scores."""
    return sum(
        scores[repeat] == 1.0
        for task, scores in story.scores[arm].items()
        if story.categories[task] == kind
    )


def printed(data: Path, arm: str, kind: str, repeat: int) -> int:
    """Return how many the replication's own results file counts."""
    runs = json.loads((data / "validation.json").read_text("utf-8"))["runs"]
    name = f"{'direct' if arm == 'direct' else 'train'}/{kind}_{repeat}"
    return int(runs[name]["results_jsonl"][0])


def differences(story: ComparisonStory, kind: str) -> list[float]:
    """Return trained minus direct of each problem; of one type, or of all."""
    return [
        float(np.mean(story.scores["trained"][task]) - np.mean(scores))
        for task, scores in story.scores["direct"].items()
        if not kind or story.categories[task] == kind
    ]


def checked(values: list[float]) -> tuple[float, float]:
    """Return two p-values by other hands: scipy's permutation test, and the paired t-test."""
    found = permutation_test(
        (np.array(values), np.zeros(len(values))),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples", vectorized=True, n_resamples=20_000, rng=1,
    )  # fmt: skip
    return float(found.pvalue), float(ttest_rel(values, np.zeros(len(values))).pvalue)


def report(story: ComparisonStory, data: Path) -> str:
    """Return the results as Markdown."""
    cells = {cell.category: cell for cell in by_category(story) if cell.gain is not None}
    (pair,) = story.pairs
    lines = [
        "# The published replication, through the report",
        "",
        "`python -m benchmarks.recorded_comparison`. Solved of 80, runs 0 and 1 by the report / by "
        "the replication's own results files. Its published figures are means of three runs; the "
        "third is not in the data, so the last column is what it must have solved for the "
        "published means to hold (a whole number if ours are right).",
        "",
        "| type | direct | trained | direct % (published) | trained % (published) | third run |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    equal = 0
    for kind, published in PUBLISHED.items():
        cellsof, means, third = [], [], []
        for arm, mean in zip(ARMS, published, strict=True):
            ours = [solved(story, arm, kind, repeat) for repeat in (0, 1)]
            theirs = [printed(data, arm, kind, repeat) for repeat in (0, 1)]
            equal += sum(one == other for one, other in zip(ours, theirs, strict=True))
            cellsof.append(f"{ours[0]}, {ours[1]} / {theirs[0]}, {theirs[1]}")
            means.append(f"{100 * sum(ours) / 160:.2f} ({mean})")
            left = round(mean * 2.4) - sum(ours)
            exact = f"{100 * (sum(ours) + left) / 240:.2f}"
            third.append(f"{left} (mean {exact})")
        lines.append(f"| {kind} | {' | '.join([*cellsof, *means])} | {', '.join(third)} |")
    lines += [
        "",
        f"{equal} of {4 * len(PUBLISHED)} counts are equal.",
        "",
        "Trained minus direct, paired by problem, 95 % intervals (bootstrap over problems), "
        "p-values of the report and by scipy's permutation and t-test:",
        "",
        "| problems | difference | p | p (Holm) | scipy permutation | scipy t | the report says |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    permuted, student = checked(differences(story, ""))
    lines.append(
        f"| all 400 | {100 * pair.difference:+.1f} [{100 * pair.low:+.1f}, {100 * pair.high:+.1f}] "
        f"| {pair.p_value:.4f} | {pair.p_holm:.4f} | {permuted:.4f} | {student:.4f} | "
        f"trained is {pair.verdict if pair.verdict != 'cannot tell' else '...: cannot tell'} |"
    )
    for kind, cell in cells.items():
        permuted, student = checked(differences(story, kind))
        assert cell.gain is not None
        assert cell.gain_low is not None
        assert cell.gain_high is not None
        lines.append(
            f"| {kind} | {100 * cell.gain:+.1f} [{100 * cell.gain_low:+.1f}, "
            f"{100 * cell.gain_high:+.1f}] | | {cell.p_holm:.4f} | {permuted:.4f} | "
            f"{student:.4f} | {'told from none' if cell.sure else 'cannot tell'} |"
        )
    direct, trained = (story.arm(arm).efficiency for arm in ARMS)
    lines += [
        "",
        f"Cost per problem: direct {direct.usd_per_task:.6f} USD, "
        f"trained {trained.usd_per_task:.6f} USD, "
        f"per solved one {direct.usd_per_solved:.6f} and {trained.usd_per_solved:.6f} USD (from "
        "tokens at 0.15 and 0.60 USD per million; training itself not counted).",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Store, read, check and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "runs.db"
        asyncio.run(store(path, options.data))
        story = read(path)
        if options.page:
            options.page.write_text(render_page(story, path), "utf-8")
    text = report(story, options.data)
    print(text)
    options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
