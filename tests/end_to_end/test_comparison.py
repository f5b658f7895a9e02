"""`funcforge compare` against real providers on loopback, from the config to the stored rows."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from funcforge import (
    Config,
    FuncforgeError,
    Opening,
    load_config,
    open_comparison,
    open_evaluation,
)
from funcforge.adapters.exporters.json import export_json
from funcforge.adapters.replaying import replay
from funcforge.adapters.views.comparison.story import ComparisonStory, read_comparison
from funcforge.adapters.views.comparison.tables import tables
from funcforge.adapters.views.comparison.told import comparison_json
from funcforge.engine.calls import Retry
from funcforge.engine.errors import ConfigError
from funcforge.engine.parameters import Parameters
from funcforge.engine.run import Outcome
from funcforge.storage.database import open_store
from funcforge.storage.runs import RunReader

from tests.end_to_end.command import funcforge
from tests.loopback.brains import chance
from tests.loopback.faults import Fault, SeededFaults
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say

TASKS = 30


class Pupil:
    """Knows the answer to a share of the questions."""

    def __init__(self, skill: float) -> None:
        self._skill = skill

    def __call__(self, ask: Ask) -> Say:
        number = ask.question.split()[-1].rstrip("?")
        right = chance(number) < self._skill
        cached = 8 if chance("cache", number) < 0.5 else 0
        return Say(
            content=f"The answer is \\boxed{{{number if right else 'no'}}}.",
            prompt_tokens=50 + len(number), completion_tokens=7, cached_tokens=cached,
        )  # fmt: skip


def write(folder: Path, arms: str, tasks: int = TASKS, more: str = "") -> Path:
    """Write a comparison; `arms` are the tables of its arms."""
    rows = [
        {"id": f"t{n:03}", "prompt": f"Say {n}", "target": str(n), "category": f"c{n % 3}"}
        for n in range(tasks)
    ]
    (folder / "tasks.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    config = folder / "compare.toml"
    config.write_text(
        f"""
        seed = 3
        [agent]
        python = false
        [tasks]
        path = "tasks.jsonl"
        category = "category"
        test = "rest"
        [limits]
        call_timeout_s = 5.0
        {arms}
        {more}
        """,
        encoding="utf-8",
    )
    return config


def arm(name: str, model: str, base_url: str = "", *, price: float = 1.0, rest: str = "") -> str:
    """Return the tables of an arm and its model."""
    url = f'base_url = "{base_url}"' if base_url else ""
    return f"""
        [[compare.arms]]
        name = "{name}"
        model = "{model}"
        {rest}
        [models."{model}"]
        {url}
        context_tokens = 32000
        prompt_usd_per_million = {price}
        cached_usd_per_million = {price / 10}
        completion_usd_per_million = {4 * price}
    """


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-loopback")
    monkeypatch.setitem(Retry.__init__.__kwdefaults__, "first_wait_s", 0.01)
    monkeypatch.setitem(Retry.__init__.__kwdefaults__, "longest_wait_s", 0.05)


def load(file: Path, **changes: Any) -> Config:
    options = [f"{name.replace('__', '.')}={json.dumps(value)}" for name, value in changes.items()]
    options.append(f"store.path={file.parent / 'runs.db'}")
    return load_config(file, overrides=options, environ={}, purpose="compare")


async def run(config: Config, *, resume: bool = False) -> Outcome[Any]:
    async with open_comparison(config, Opening(run_id="run", resume=resume)) as comparison:
        return await comparison.wait()


def told(folder: Path) -> ComparisonStory:
    with RunReader(folder / "runs.db") as reader:
        return read_comparison(reader.view("run"), reader.path)


async def rows(folder: Path) -> Any:
    async with open_store(str(folder / "runs.db")) as store:
        return await store.dump_rows("run")


async def test_arms_on_two_wires_are_scored_paired_and_billed_as_their_ledgers_say(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(LoopbackProvider(brain=Pupil(0.9)))
        weak = await stack.enter_async_context(LoopbackProvider(brain=Pupil(0.3)))
        arms = arm("weak", "openai/weak", weak.openai_base_url)
        arms += arm("good", "anthropic/good", good.anthropic_base_url, price=3.0)
        outcome = await run(load(write(tmp_path, arms), compare__repeats=2))

    assert outcome.status == "done", outcome.message
    story = told(tmp_path)
    (pair,) = story.pairs
    assert (pair.a, pair.b, pair.verdict, pair.dropped) == ("weak", "good", "better", 0)
    assert set(story.categories.values()) == {"c0", "c1", "c2"}
    for name, provider, price in [("weak", weak, 1), ("good", good, 3)]:
        spent, book = story.arm(name).efficiency, provider.ledger.entries
        usage = spent.usage
        assert usage.calls == len(book) == TASKS * 2
        assert usage.prompt_tokens == sum(entry.prompt_tokens for entry in book)
        assert usage.completion_tokens == sum(entry.completion_tokens for entry in book)
        assert usage.cached_tokens == sum(entry.cached_tokens for entry in book) > 0
        plain = usage.prompt_tokens - usage.cached_tokens
        millionths = plain * price + usage.cached_tokens * price / 10
        millionths += usage.completion_tokens * 4 * price
        assert usage.cost_usd == pytest.approx(millionths / 1e6, abs=1e-12)
        assert spent.discount_usd == pytest.approx(usage.cached_tokens * price * 0.9 / 1e6)
        assert spent.latency_s is not None
        assert 0 < spent.latency_s[0] <= spent.latency_s[2]
    assert outcome.usage == story.run.usage


async def test_the_first_token_is_timed_where_a_model_streams(tmp_path: Path) -> None:
    async with LoopbackProvider(brain=Pupil(0.5), latency_s=0.03, piece_s=0.005) as provider:
        url = provider.openai_base_url
        arms = arm("at once", "openai/a", url) + arm("piece by piece", "openai/b", url)
        arms += "stream = true\n"
        outcome = await run(load(write(tmp_path, arms)))

    assert outcome.status == "done", outcome.message
    story = told(tmp_path)
    assert story.scores["at once"] == story.scores["piece by piece"]
    assert story.arm("at once").efficiency.first_token_s is None
    first, latency = (
        story.arm("piece by piece").efficiency.first_token_s,
        story.arm("piece by piece").efficiency.latency_s,
    )
    assert first is not None
    assert latency is not None
    assert 0.03 <= first[0] < latency[0]
    assert first[0] <= first[1]
    (time,) = (table for table in tables(story) if table.title == "Time")
    assert time.rows[0][4] == "not streamed"
    assert time.rows[1][4].count("ms") == 2
    assert comparison_json(story)["arms"][1]["first_token_s"] == {"p50": first[0], "p95": first[1]}


async def test_rows_do_not_depend_on_how_many_are_in_flight(tmp_path: Path) -> None:
    kept = []
    for in_flight in (1, 50):
        folder = tmp_path / str(in_flight)
        folder.mkdir()
        async with LoopbackProvider(brain=Pupil(0.5), latency_s=0.002) as provider:
            url = provider.openai_base_url
            arms = arm("a", "openai/a", url) + arm("b", "openai/b", url)
            file = write(folder, arms)
            # equal configs: only how much is in flight differs, and where the provider is
            await run(load(file, limits__in_flight=in_flight, compare__repeats=2))
        kept.append(await rows(folder))

    for table in ("evaluations", "episodes", "calls", "events", "parameters"):
        assert kept[0][table] == kept[1][table], table


async def test_a_provider_that_is_down_from_the_start_voids_its_arm_alone(tmp_path: Path) -> None:
    async with LoopbackProvider(brain=Pupil(0.5)) as provider:
        arms = arm("dead", "openai/dead", "http://127.0.0.1:9/v1")
        arms += arm("alive", "openai/alive", provider.openai_base_url)
        file = write(tmp_path, arms)
        outcome = await run(load(file))
        story = told(tmp_path)

        assert (outcome.status, outcome.stopped_by) == ("failed", "error")
        assert "1 of 2 arms have no score: arm 'dead'" in outcome.message
        assert story.arm("dead").state == "void"
        assert story.arm("dead").estimate is None
        assert story.arm("dead").errors.keys() == {"connection"}
        assert (story.arm("alive").state, story.arm("alive").scored) == ("done", TASKS)
        assert story.pairs == ()

        asked = len(provider.ledger)
        revived = arms.replace("http://127.0.0.1:9/v1", provider.openai_base_url)
        outcome = await run(load(write(tmp_path, revived)), resume=True)

        assert outcome.status == "done", outcome.message
        assert len(provider.ledger) == asked + TASKS  # what was scored is not asked again
        assert len(told(tmp_path).pairs) == 1


async def test_a_provider_that_dies_half_way_neither_stops_nor_skews_the_others(
    tmp_path: Path,
) -> None:
    class DiesAfter:
        def __init__(self, answers: int) -> None:
            self.left = answers

        def __call__(self, ask: Ask) -> Fault | None:
            self.left -= 1
            return None if self.left >= 0 else Fault.ERROR_503

    async with AsyncExitStack() as stack:
        dying = await stack.enter_async_context(
            LoopbackProvider(brain=Pupil(0.9), faults=DiesAfter(40))
        )
        well = await stack.enter_async_context(LoopbackProvider(brain=Pupil(0.5)))
        arms = arm("dying", "openai/dying", dying.openai_base_url)
        arms += arm("one", "openai/one", well.openai_base_url)
        arms += arm("two", "openai/two", well.openai_base_url)
        outcome = await run(load(write(tmp_path, arms, tasks=80), limits__in_flight=8))

    story = told(tmp_path)
    assert outcome.status == "failed"
    assert (story.arm("dying").state, story.arm("dying").scored) == ("void", 40)
    assert story.arm("dying").estimate is None, "half of the tasks are no sample of them"
    for name in ("one", "two"):
        assert (story.arm(name).scored, story.arm(name).failed) == (80, 0)
    assert [(pair.a, pair.b, pair.tasks) for pair in story.pairs] == [("one", "two", 80)]


async def test_some_failed_episodes_are_dropped_on_both_sides(tmp_path: Path) -> None:
    class Refuses:
        def __call__(self, ask: Ask) -> Fault | None:
            return Fault.CONTENT_POLICY if "Say 7" in ask.question else None

    async with AsyncExitStack() as stack:
        prim = await stack.enter_async_context(LoopbackProvider(brain=Pupil(0.9), faults=Refuses()))
        free = await stack.enter_async_context(LoopbackProvider(brain=Pupil(0.9)))
        arms = arm("prim", "openai/prim", prim.openai_base_url)
        arms += arm("free", "openai/free", free.openai_base_url)
        outcome = await run(load(write(tmp_path, arms), compare__repeats=2))

    assert outcome.status == "done", outcome.message
    story = told(tmp_path)
    (pair,) = story.pairs
    assert (story.arm("prim").failed, story.arm("free").failed) == (2, 0)
    assert story.arm("prim").errors == {"content_filter": 2}
    assert (pair.tasks, pair.pairs, pair.dropped) == (TASKS - 1, 2 * TASKS - 2, 2)


async def test_a_paused_comparison_goes_on_and_replays(tmp_path: Path) -> None:
    faults = SeededFaults(rate=0.1, kinds=(Fault.ERROR_500,), seed=1)
    async with LoopbackProvider(brain=Pupil(0.6), faults=faults) as provider:
        url = provider.openai_base_url
        file = write(tmp_path, arm("a", "openai/a", url) + arm("b", "openai/b", url))
        paused = await run(load(file, budget__calls=40))
        assert (paused.status, paused.stopped_by) == ("paused", "budget")
        assert {one.state for one in told(tmp_path).arms} == {"stopped"}

        outcome = await run(load(file, budget__calls=1_000), resume=True)

    assert outcome.status == "done", outcome.message
    assert provider.ledger.repeated() == {}
    found = await replay(str(tmp_path / "runs.db"), "run")
    assert (found.difference, found.compared["episodes"]) == ("", 2 * TASKS)


@pytest.mark.parametrize(
    ("arms", "more", "tasks", "message"),
    [
        (arm("a", "openai/a") * 1 + '[[compare.arms]]\nname = "a"\nmodel = "openai/b"', "", 30,
         'two arms are named "a"'),
        ('[[compare.arms]]\nname = "a"\nmodel = "openai/a"', "", 30, "needs at least two arms"),
        (arm("a", "openai/a") + arm("b", "openai/b"), "", 5, "5 tasks can tell no two of 2 arms"),
        (arm("a", "openai/a") + arm("b", "openai/b", rest='parameters = "nothing"'), "", 30,
         "'nothing' gives no parameters"),
        (arm("a", "openai/a") + arm("b", "openai/b", rest='parameters = "no.json"'), "", 30,
         "no.json: cannot be read"),
        (arm("a", "openai/a") + '[[compare.arms]]\nname = "b"\nmodel = "openai/unpriced"',
         "[budget]\ncost_usd = 1.0", 30, "openai/unpriced has no known price"),
        ("", "", 30, "compare: is missing"),
    ],
)  # fmt: skip
async def test_bad_comparisons_are_refused_before_anything_is_asked(
    tmp_path: Path, arms: str, more: str, tasks: int, message: str
) -> None:
    agent = '[agent]\nmodel = "openai/a"' if not arms else ""
    file = write(tmp_path, arms, tasks, more)
    if agent:
        file.write_text(file.read_text().replace("[agent]", agent))
    with pytest.raises(FuncforgeError, match=message):
        await run(load(file))
    assert not (tmp_path / "runs.db").exists() or not RunReader(tmp_path / "runs.db").runs()


@pytest.mark.slow
async def test_the_command_gates_reports_shows_and_compares_what_was_learned(
    tmp_path: Path,
) -> None:
    learned = Parameters(instructions="Answer with care.")
    (tmp_path / "learned.json").write_text(export_json(learned))

    def brain(ask: Ask) -> Say:
        trained = any("with care" in message.content for message in ask.messages)
        return Pupil(0.95 if trained else 0.4)(ask)

    async with LoopbackProvider(brain=brain) as provider:
        url = provider.openai_base_url
        arms = arm("plain", "openai/m", url)
        arms += """
            [[compare.arms]]
            name = "trained"
            model = "openai/m"
            parameters = "learned.json"
        """
        file = write(tmp_path, arms, tasks=60)
        worse, better = "accuracy(plain) < accuracy(trained)", "accuracy(trained) < accuracy(plain)"
        failed = await funcforge("compare", file, "--fail-if", worse, "--json", cwd=tmp_path)
        passed = await funcforge(
            "compare", file, "--fail-if", better, "--strict", "--quiet", "--html", "out/c.html",
            cwd=tmp_path,
        )  # fmt: skip
        wrong = await funcforge("compare", file, "--fail-if", "accuracy(x) < 1", cwd=tmp_path)
    shown = await funcforge("show", failed.told["run_id"], "--json", cwd=tmp_path)
    listed = await funcforge("runs", "--json", cwd=tmp_path)

    assert (failed.code, passed.code, wrong.code) == (1, 0, 2)
    assert "'x', which is no arm; arms are plain, trained" in wrong.err
    told = failed.told
    assert (told["status"], told["gate"]["failed"]) == ("done", True)
    assert told["gate"]["conditions"][0]["outcome"] == "failed"
    assert [cell["sure"] for cell in told["transfer"]] == [False, True]
    assert told["pairs"][0]["verdict"] == "better"
    assert shown.told == told
    assert {run["kind"] for run in listed.told["runs"]} == {"compare"}
    assert "trained is better than plain" in passed.err
    for name in ("c.html", "c.md", "c.csv"):
        assert (tmp_path / "out" / name).stat().st_size > 1_000


async def evaluated(folder: Path, url: str, tasks: int = TASKS) -> None:
    """Evaluate a model on the same tasks, as the run `old`."""
    text = write(folder, arm("a", "openai/old", url), tasks).read_text()
    file = folder / "evaluate.toml"
    text = text.replace('[[compare.arms]]\n        name = "a"\n        model = "openai/old"', "")
    file.write_text(text.replace("[agent]", '[agent]\nmodel = "openai/old"'))
    overrides = [f"store.path={folder / 'runs.db'}"]
    config = load_config(file, overrides=overrides, environ={}, purpose="evaluate")
    async with open_evaluation(config, None, Opening(run_id="old")) as run_:
        assert (await run_.wait()).status == "done"


RECORDED = '[[compare.arms]]\nname = "baseline"\nrecorded = "old"\n'


async def test_a_baseline_that_was_evaluated_before_is_not_paid_for_again(tmp_path: Path) -> None:
    async with LoopbackProvider(brain=Pupil(0.3)) as provider:
        await evaluated(tmp_path, provider.openai_base_url)
        asked = len(provider.ledger)
        arms = RECORDED + arm("new", "openai/new", provider.openai_base_url)
        outcome = await run(load(write(tmp_path, arms)))

        assert outcome.status == "done", outcome.message
        assert len(provider.ledger) == asked + TASKS
    story = told(tmp_path)
    assert outcome.usage.calls == TASKS, "the run spent nothing on its baseline"
    baseline = story.arm("baseline")
    assert (baseline.scored, baseline.model, baseline.learned) == (
        TASKS,
        "openai/old",
        "recorded old",
    )
    assert baseline.efficiency.usage.calls == TASKS, "but tells what it had cost"
    assert (story.pairs[0].tasks, story.pairs[0].verdict) == (TASKS, "cannot tell")
    found = await replay(str(tmp_path / "runs.db"), "run")
    assert (found.difference, found.compared["episodes"]) == ("", 2 * TASKS)


async def test_a_baseline_on_other_tasks_or_of_no_evaluation_is_refused(tmp_path: Path) -> None:
    async with LoopbackProvider(brain=Pupil(0.3)) as provider:
        url = provider.openai_base_url
        await evaluated(tmp_path, url, tasks=TASKS - 1)
        file = write(tmp_path, RECORDED + arm("new", "openai/new", url))
        with pytest.raises(ConfigError, match=r"was scored on other tasks .*same tasks only"):
            await run(load(file))
        file = write(tmp_path, RECORDED + arm("new", "openai/new", url), TASKS - 1)
        with pytest.raises(ConfigError, match="has 29 episodes, 58 are due"):
            await run(load(file, compare__repeats=2))
        file = write(tmp_path, RECORDED.replace("old", "none") + arm("new", "openai/new", url))
        with pytest.raises(ConfigError, match="there is no run 'none'"):
            await run(load(file))
