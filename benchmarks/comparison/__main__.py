"""Five arms over 1,000 tasks x 3 repeats, for real. Run: python -m benchmarks.comparison.

Five providers, each in a process of its own, with different speeds, limits, prices and wire
formats and known true accuracies. Asked: is the wall time within 1.2 of the slowest arm alone; do
the costs equal the providers' ledgers to the token and the picodollar; do the intervals hold the
truth. Then 200 comparisons are simulated from the same truths, without HTTP, for the coverage.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import anyio
from funcforge import Opening, load_config, open_comparison, open_evaluation
from funcforge.adapters.views.comparison.page import render_page
from funcforge.adapters.views.comparison.story import ComparisonStory, read_comparison
from funcforge.engine.contrast import contrasts
from funcforge.engine.statistics import interval
from funcforge.storage.runs import RunReader

from benchmarks.comparison.candidates import ALL, KINDS, SLOWEST, Candidate, truth
from tests.loopback.process import RemoteProvider, provider_process

RESULTS = Path(__file__).parents[1] / "results"
SEED = 20


@dataclass(frozen=True, kw_only=True)
class Told:
    """One comparison: what it says, how long it took, and what the providers booked."""

    story: ComparisonStory
    wall_s: float
    billed: dict[str, tuple[int, int, int, int, int]]  # calls, prompt, completion, cached, pUSD
    page_bytes: int
    page_s: float


def write(folder: Path, arms: Sequence[Candidate], urls: Sequence[str], tasks: int) -> Path:
    """Write the tasks and the config."""
    kinds = list(KINDS)
    rows = [
        {"id": f"t{n:05}", "prompt": f"What is the answer of task {n}.", "target": str(n),
         "category": kinds[n % len(kinds)]}
        for n in range(tasks)
    ]  # fmt: skip
    (folder / "tasks.jsonl").write_text("\n".join(map(json.dumps, rows)))
    tables = [
        f"""
        [[compare.arms]]
        name = "{arm.name}"
        model = "{arm.model}"
        [models."{arm.model}"]
        base_url = "{url}"
        context_tokens = 64000
        prompt_usd_per_million = {arm.prompt_usd}
        cached_usd_per_million = {arm.prompt_usd / 10}
        completion_usd_per_million = {arm.completion_usd}
        """
        for arm, url in zip(arms, urls, strict=True)
    ]
    file = folder / "compare.toml"
    file.write_text(
        f"""
        name = "five providers"
        seed = {SEED}
        [agent]
        python = false
        [tasks]
        path = "tasks.jsonl"
        category = "category"
        test = "rest"
        [compare]
        repeats = REPEATS
        {"".join(tables)}
        """
    )
    return file


def base_url(arm: Candidate, provider: RemoteProvider) -> str:
    """Return the URL of the wire that an arm speaks."""
    return provider.openai_base_url if arm.wire == "openai" else provider.anthropic_base_url


async def compare(arms: Sequence[Candidate], tasks: int, repeats: int, page: Path | None) -> Told:
    """Run one comparison against fresh providers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            providers = [
                await stack.enter_async_context(
                    provider_process(
                        *arm.options,
                        brain=f"benchmarks.comparison.candidates:{arm.name}",
                        ledger_path=folder / f"{arm.name}.jsonl",
                    )
                )
                for arm in arms
            ]
            urls = [base_url(arm, one) for arm, one in zip(arms, providers, strict=True)]
            file = write(folder, arms, urls, tasks)
            file.write_text(file.read_text().replace("REPEATS", str(repeats)))
            config = load_config(
                file, overrides=[f"store.path={folder / 'runs.db'}"], environ={}, purpose="compare"
            )
            async with open_comparison(config, Opening(run_id="run")) as run:
                began_s = time.monotonic()
                outcome = await run.wait()
                wall_s = time.monotonic() - began_s
            assert outcome.status == "done", outcome.message
            billed = {arm.name: bill(arm, one) for arm, one in zip(arms, providers, strict=True)}
        with RunReader(folder / "runs.db") as reader:
            story = read_comparison(reader.view("run"), reader.path)
            began_s = time.monotonic()
            html = render_page(story, reader.path)
        page_s = time.monotonic() - began_s
        if page is not None:
            await anyio.Path(page).write_text(html, "utf-8")
        return Told(story=story, wall_s=wall_s, billed=billed, page_bytes=len(html), page_s=page_s)


async def alone(arm: Candidate, tasks: int, repeats: int) -> float:
    """Return how long one arm takes with the machine to itself: the same episodes, evaluated."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with provider_process(
            *arm.options, brain=f"benchmarks.comparison.candidates:{arm.name}"
        ) as provider:
            file = write(folder, [arm], [base_url(arm, provider)], tasks)
            text = file.read_text().partition("[compare]")[0]
            models = file.read_text().partition("[models.")
            file.write_text(
                text.replace("[agent]", f'[agent]\nmodel = "{arm.model}"')
                + models[1] + models[2] + f"\n[training]\nrepeats = {repeats}\n"
            )  # fmt: skip
            config = load_config(
                file, overrides=[f"store.path={folder / 'runs.db'}"], environ={}, purpose="evaluate"
            )
            async with open_evaluation(config, None, Opening(run_id="run")) as run:
                began_s = time.monotonic()
                outcome = await run.wait()
                assert outcome.status == "done", outcome.message
                return time.monotonic() - began_s


def bill(arm: Candidate, provider: RemoteProvider) -> tuple[int, int, int, int, int]:
    """Return what a provider's own book says, priced by hand in whole picodollars."""
    book = provider.ledger.answered()
    prompt = sum(entry.prompt_tokens for entry in book)
    completion = sum(entry.completion_tokens for entry in book)
    cached = sum(entry.cached_tokens for entry in book)
    pusd = (
        (prompt - cached) * round(arm.prompt_usd * 1e6)
        + cached * round(arm.prompt_usd * 1e5)
        + completion * round(arm.completion_usd * 1e6)
    )
    return len(book), prompt, completion, cached, pusd


def coverage(tasks: int, repeats: int, trials: int) -> tuple[float, float, float]:
    """Return how often intervals hold the truth: differences, accuracies; and false verdicts."""
    random_ = random.Random(SEED)
    drawn = range(100_000)  # the tasks that a comparison's are drawn from
    true = {arm.name: fmean([truth(arm.skill, task) for task in drawn[:20_000]]) for arm in ALL}
    pairs_hold = scores_hold = pairs = scores = wrong = 0
    for trial in range(trials):
        chosen = random_.sample(drawn[:20_000], tasks)
        outcomes = {
            arm.name: {
                str(task): [
                    float(random_.random() < truth(arm.skill, task)) for _ in range(repeats)
                ]
                for task in chosen
            }
            for arm in ALL
        }
        found = contrasts(outcomes, seed=trial)
        for pair in found:
            gain = true[pair.b] - true[pair.a]
            pairs += 1
            pairs_hold += pair.low <= gain <= pair.high
        wrong += any(
            (
                pair.verdict != "cannot tell"
                and (pair.verdict == "better") != (true[pair.b] > true[pair.a])
            )
            or (pair.verdict != "cannot tell" and true[pair.b] == true[pair.a])
            for pair in found
        )
        for arm in ALL:
            estimate = interval(outcomes[arm.name])
            scores += 1
            scores_hold += estimate.low <= true[arm.name] <= estimate.high
    return pairs_hold / pairs, scores_hold / scores, wrong / trials


def report(told: Told, alone_s: float, tasks: int, repeats: int) -> str:
    """Return the results as Markdown."""
    skills = {arm.name: fmean([truth(arm.skill, task) for task in range(tasks)]) for arm in ALL}
    lines = [
        "# Comparison",
        "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}. `python -m benchmarks.comparison`: {len(ALL)} arms, "
        f"{tasks:,} tasks x {repeats}, each provider a process of its own on loopback. Load "
        f"average of the machine at the end: {os.getloadavg()[1]:.1f}.",
        "",
        f"Wall time {told.wall_s:.1f} s; the slowest arm ({SLOWEST.name}) alone {alone_s:.1f} s: "
        f"**{told.wall_s / alone_s:.2f} x**.",
        "",
        "| arm | wire | true % of these tasks | found % | calls | tokens = ledger | USD = ledger "
        "| p50 | calls/min |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arm in ALL:
        one = told.story.arm(arm.name)
        usage = one.efficiency.usage
        calls, prompt, completion, cached, pusd = told.billed[arm.name]
        tokens = (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        same = tokens == (calls, prompt, completion, cached)
        assert one.estimate is not None
        assert one.efficiency.latency_s is not None
        lines.append(
            f"| {arm.name} | {arm.wire} | {100 * skills[arm.name]:.1f} | "
            f"{100 * one.estimate.score:.1f} [{100 * one.estimate.low:.1f}, "
            f"{100 * one.estimate.high:.1f}] | {usage.calls:,} | {'yes' if same else 'NO'}: "
            f"{usage.tokens:,} | {'yes' if usage.cost_pusd == pusd else 'NO'}: "
            f"{usage.cost_usd:.6f} | {one.efficiency.latency_s[0] * 1000:.0f} ms | "
            f"{one.efficiency.calls_per_minute or 0:,.0f} |"
        )
    lines += ["", "| pair | true difference | found | p (Holm) | verdict |",
              "| --- | --- | --- | --- | --- |"]  # fmt: skip
    held = 0
    for pair in told.story.pairs:
        gain = skills[pair.b] - skills[pair.a]
        held += pair.low <= gain <= pair.high
        lines.append(
            f"| {pair.b} - {pair.a} | {100 * gain:+.1f} | {100 * pair.difference:+.1f} "
            f"[{100 * pair.low:+.1f}, {100 * pair.high:+.1f}] | {pair.p_holm:.4f} | "
            f"{pair.verdict} |"
        )
    lines += [
        "",
        f"{held} of {len(told.story.pairs)} intervals hold the true difference in this run.",
        "",
        f"The HTML page of its {len(ALL) * tasks * repeats:,} episodes: "
        f"{told.page_bytes / 1e6:.1f} MB, written in {told.page_s:.1f} s.",
        "",
    ]
    return "\n".join(lines)


def coverage_report(tasks: int, repeats: int, trials: int) -> str:
    """Simulate, and return the results as Markdown."""
    differences, accuracies, wrong = coverage(tasks, repeats, trials)
    return (
        "# Coverage of a comparison's intervals\n\n"
        f"{time.strftime('%Y-%m-%d')}, `python -m benchmarks.comparison --only coverage`: {trials} "
        f"simulated comparisons of {len(ALL)} arms over {tasks:,} tasks x {repeats}, tasks drawn "
        "anew each time, through the report's own statistics; nominal 95 %.\n\n"
        f"- differences of all {len(ALL) * (len(ALL) - 1) // 2} pairs: "
        f"**{100 * differences:.1f} %** hold the truth\n"
        f"- accuracies: **{100 * accuracies:.1f} %**\n"
        "- a false verdict on any pair (two arms are truly equal), nominal at most 5 %: "
        f"{100 * wrong:.1f} % of the comparisons\n"
    )


def main() -> None:
    """Run it, and write the results where the whole was run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["wall", "coverage"])
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--page", type=Path, help="where to keep the HTML page")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    os.environ.setdefault("OPENAI_API_KEY", "sk-loopback")
    os.environ.setdefault("ANTHROPIC_API_KEY", "sk-loopback")
    if options.only != "coverage":
        alone_s = anyio.run(alone, SLOWEST, options.tasks, options.repeats)
        print(f"{SLOWEST.name} alone: {alone_s:.1f} s", flush=True)
        told = anyio.run(compare, ALL, options.tasks, options.repeats, options.page)
        text = report(told, alone_s, options.tasks, options.repeats)
        print(text, flush=True)
        (options.out / "comparison.md").write_text(text)
    if options.only != "wall":
        text = coverage_report(options.tasks, options.repeats, options.trials)
        print(text)
        (options.out / "comparison_coverage.md").write_text(text)


if __name__ == "__main__":
    main()
