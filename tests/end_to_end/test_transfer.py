"""A comparison that learns first: on each model, or on each kind of task; then all on all."""

from __future__ import annotations

import csv
import json
import random
import xml.etree.ElementTree
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from funcforge import Config, Opening, load_config, open_comparison
from funcforge.adapters.replaying import replay
from funcforge.adapters.views.comparison.story import ComparisonStory, read_comparison
from funcforge.engine.calls import Retry
from funcforge.engine.errors import ConfigError, TaskError
from funcforge.engine.run import Outcome
from funcforge.storage.runs import RunReader

from tests.end_to_end.command import ended, funcforge, start
from tests.end_to_end.leftovers import until
from tests.end_to_end.pupil import CALCULATE, add
from tests.faults.killing import stored
from tests.loopback.brains import chance, is_optimizer
from tests.loopback.process import provider_process
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say, call, calls, text

DOUBLE = '''
def double(expression):
    """Double a number."""
    return 2 * int(expression)
'''
TERMINATE = calls(call("terminate", {"reason": "that is all"}))
MODELS = ("openai/a", "anthropic/b")


def learner(ask: Ask) -> Say:
    """Solve sums only with `calculate`, and doubles only with `double`; learn what is asked for.

    Model b cannot use `double`. Without a function every third answer is right.
    """
    if is_optimizer(ask):
        known = {name for name in ("calculate", "double") if f'"name": "{name}"' in ask.question}
        if ask.results or len(ask.messages) > 2 or "ACTION next=1" not in ask.question:
            return TERMINATE
        wanted = [("calculate", CALCULATE)] if "Work out" in ask.question else []
        wanted += [("double", DOUBLE)] if "Double " in ask.question else []
        left = [
            one for one in wanted if f"def {one[0]}" not in ask.question and one[0] not in known
        ]
        return add(*left[0]) if left else TERMINATE
    if ask.results:
        return text(f"It is \\boxed{{{ask.results[-1].content.split()[-1]}}}.")
    kind, _, expression = ask.question.rstrip(".").partition(": ")[2].partition(" ")
    if kind == "Work":
        kind, expression = "Work out", expression.removeprefix("out ")
    tool = {"Work out": "calculate", "Double": "double"}[kind]
    usable = {one.name for one in ask.tools} - ({"double"} if ask.model == "b" else set())
    if tool in usable:
        return calls(call(tool, {"expression": expression}))
    right = eval(expression) * (2 if kind == "Double" else 1)
    return text(f"\\boxed{{{right if chance(ask.question) < 0.33 else right + 1}}}.")


def write(folder: Path, compare: str, more: str = "") -> Path:
    """Write 48 tasks of two kinds, and the comparison."""
    drawn = random.Random(4)
    rows = []
    for number in range(48):
        a, b = drawn.randint(2, 99), drawn.randint(2, 99)
        sums = number % 2 == 0
        prompt = f"Task {number}: " + (f"Work out {a} * {b}." if sums else f"Double {a}.")
        row = {"id": f"t{number:03}", "prompt": prompt, "target": str(a * (b if sums else 2))}
        rows.append(row | {"category": "sums" if sums else "doubles"})
    (folder / "tasks.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    file = folder / "compare.toml"
    file.write_text(
        f"""
        seed = 1
        [agent]
        model = "openai/a"
        python = false
        [tasks]
        path = "tasks.jsonl"
        category = "category"
        stratify = true
        train = 12
        test = "rest"
        [scorer]
        kind = "numeric"
        [training]
        steps = 2
        acceptance = "paper"  # asks every task once: no request is repeated
        [store]
        path = '{folder / "runs.db"}'
        [compare]
        {compare}
        {more}
        """,
        encoding="utf-8",
    )
    return file


def served(*urls: str) -> str:
    """Return the tables of the two models."""
    tables = [
        f"""
        [models."{model}"]
        base_url = "{url}"
        context_tokens = 128000
        max_output_tokens = 4096
        prompt_usd_per_million = 1.0
        completion_usd_per_million = 4.0
        """
        for model, url in zip(MODELS, urls, strict=False)
    ]
    return "".join(tables)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-loopback")
    monkeypatch.setitem(Retry.__init__.__kwdefaults__, "first_wait_s", 0.01)
    monkeypatch.setitem(Retry.__init__.__kwdefaults__, "longest_wait_s", 0.05)


def load(file: Path, *overrides: str) -> Config:
    return load_config(file, overrides=overrides, environ={}, purpose="compare")


async def run(config: Config, *, resume: bool = False) -> Outcome[Any]:
    async with open_comparison(config, Opening(run_id="run", resume=resume)) as comparison:
        return await comparison.wait()


def told(folder: Path) -> ComparisonStory:
    with RunReader(folder / "runs.db") as reader:
        return read_comparison(reader.view("run"), reader.path)


def gains(cells: Any) -> Mapping[tuple[str, str], float]:
    """Return (learned, model or category) -> gain."""
    return {(cell.learned, cell.category or cell.model): cell.gain for cell in cells if cell.base}


async def test_what_each_model_learns_is_tried_on_every_model(tmp_path: Path) -> None:
    from funcforge.adapters.views.comparison.transfer import transfer

    async with AsyncExitStack() as stack:
        a, b = [await stack.enter_async_context(LoopbackProvider(brain=learner)) for _ in MODELS]
        models = served(a.openai_base_url, b.anthropic_base_url)
        file = write(tmp_path, f"models = {json.dumps(MODELS)}\ntrain = true", models)
        outcome = await run(load(file))
        books = [*a.ledger.entries, *b.ledger.entries]

    assert outcome.status == "done", outcome.message
    story = told(tmp_path)
    assert [(one.run_id, one.model, one.status) for one in story.lessons] == [
        ("run.1", "openai/a", "done"),
        ("run.2", "anthropic/b", "done"),
    ]
    assert [set(one.functions) for one in story.lessons] == [
        {"calculate", "double"},
        {"calculate"},
    ]
    cells = transfer(story)
    assert len([cell for cell in cells if cell.base]) == 4, "2 x 2"
    assert [cell.home for cell in cells] == [False, False, True, False, False, True]
    found = gains(cells)
    on_a, on_b = (f"trained on {model}" for model in MODELS)
    assert all(cell.sure for cell in cells if cell.base)
    assert found[on_a, MODELS[0]] > found[on_a, MODELS[1]], "b cannot use all that a learned"
    assert found[on_b, MODELS[1]] == pytest.approx(found[on_a, MODELS[1]])

    # every call of both trainings and of all arms is in the books, and in the comparison's bill
    assert story.usage.calls == len(books)
    assert story.usage.prompt_tokens == sum(entry.prompt_tokens for entry in books)
    assert outcome.usage.calls + sum(one.usage.calls for one in story.lessons) == len(books)
    with RunReader(tmp_path / "runs.db") as reader:
        assert reader.resolve("latest") == reader.resolve("ru") == "run"
        tested = [e.evaluation for e in reader.view("run.1").evaluations if "test" in e.evaluation]
    assert tested == [], "the sealed test is the comparison's to score"
    for run_id in ("run", "run.1", "run.2"):
        assert (await replay(str(tmp_path / "runs.db"), run_id)).difference == ""


async def test_what_is_learned_on_one_kind_of_task_is_tried_on_the_others(tmp_path: Path) -> None:
    from funcforge.adapters.views.comparison.transfer import by_category

    trained = "".join(
        f'[[compare.trained]]\nname = "learned {kind}"\ncategories = ["{kind}"]\n'
        for kind in ("sums", "doubles")
    )
    async with LoopbackProvider(brain=learner) as provider:
        models = served(provider.openai_base_url)
        outcome = await run(load(write(tmp_path, 'models = ["openai/a"]\n' + trained, models)))

    assert outcome.status == "done", outcome.message
    cells = [cell for cell in by_category(told(tmp_path)) if cell.base]
    found = gains(cells)
    assert found["learned sums", "sums"] > 0.4
    assert found["learned doubles", "doubles"] > 0.4
    assert found["learned sums", "doubles"] == found["learned doubles", "sums"] == 0.0
    assert {(cell.learned, cell.category) for cell in cells if cell.home} == {
        ("learned sums", "sums"),
        ("learned doubles", "doubles"),
    }
    assert {cell.sure for cell in cells if cell.home} == {True}
    assert {cell.sure for cell in cells if not cell.home} == {False}


@pytest.mark.slow
async def test_one_budget_holds_over_trainings_and_arms_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        a, b = [await stack.enter_async_context(LoopbackProvider(brain=learner)) for _ in MODELS]
        models = served(a.openai_base_url, b.anthropic_base_url)
        file = write(tmp_path, f"models = {json.dumps(MODELS)}\ntrain = true", models)
        spent = []
        for cap in (30, 90, 250):
            outcome = await run(load(file, f"budget.calls={cap}"), resume=cap != 30)
            assert (outcome.status, outcome.stopped_by) == ("paused", "budget"), outcome.message
            spent.append(len(a.ledger) + len(b.ledger))
            assert spent[-1] <= cap
        outcome = await run(load(file), resume=True)
        repeated = {**a.ledger.repeated(), **b.ledger.repeated()}

    assert outcome.status == "done", outcome.message
    assert repeated == {}, "nothing was paid for twice"
    assert spent[0] > 20, "the cap is used"
    assert {arm.state for arm in told(tmp_path).arms} == {"done"}


async def test_a_model_that_is_down_loses_its_training_and_its_arms_alone(tmp_path: Path) -> None:
    async with LoopbackProvider(brain=learner) as provider:
        url = provider.openai_base_url
        compare = f"models = {json.dumps(MODELS)}\ntrain = true"
        outcome = await run(load(write(tmp_path, compare, served(url, "http://127.0.0.1:9"))))
        story = told(tmp_path)

        assert outcome.status == "failed"
        assert [lesson.status for lesson in story.lessons] == ["done", "failed"]
        states = {arm.name: arm.state for arm in story.arms}
        assert states == {
            "openai/a": "done",
            "openai/a + trained on openai/a": "done",
            "openai/a + trained on anthropic/b": "not run",
            "anthropic/b": "void",
            "anthropic/b + trained on openai/a": "void",
            "anthropic/b + trained on anthropic/b": "not run",
        }

        whole = served(url, provider.anthropic_base_url)
        outcome = await run(load(write(tmp_path, compare, whole)), resume=True)

    assert outcome.status == "done", outcome.message
    assert {arm.state for arm in told(tmp_path).arms} == {"done"}


@pytest.mark.parametrize(
    ("compare", "changes", "error", "message"),
    [
        ("train = true", [], ConfigError, "train needs models"),
        ('models = ["openai/a"]\ntrain = true', ['optimizer.kind="finetune"'], ConfigError,
         "weights are of one model only"),
        ('[[compare.trained]]\nname = "x"\n[[compare.arms]]\nname = "a"\n[[compare.arms]]\n'
         'name = "b"', [], ConfigError, '"x" is trained, but no arm takes it'),
        ('[[compare.arms]]\nname = "a"\n[[compare.arms]]\nname = "b"\ntrained = "y"', [],
         ConfigError, 'trained = "y" is no \\[\\[compare.trained\\]\\]; there is none'),
        ('models = ["openai/a"]\n[[compare.trained]]\nname = "x"\ncategories = ["odd"]', [],
         TaskError, "none of the train tasks is of the category 'odd'; they are of 'doubles', 's"),
        ('models = ["openai/a"]\n[[compare.trained]]\nname = "x"\n[[compare.trained]]\n'
         'name = "x"', [], ConfigError, 'two arms are named|two trainings are named "x"'),
    ],
)  # fmt: skip
async def test_wrong_lessons_are_refused_before_anything_is_asked(
    tmp_path: Path, compare: str, changes: list[str], error: type[Exception], message: str
) -> None:
    async with LoopbackProvider(brain=learner) as provider:
        file = write(tmp_path, compare, served(provider.openai_base_url))
        with pytest.raises(error, match=message):
            await run(load(file, *changes))
        assert len(provider.ledger) == 0


@pytest.mark.slow
async def test_worker_processes_learn_and_compare_the_same(tmp_path: Path) -> None:
    kept = []
    async with AsyncExitStack() as stack:
        a, b = [await stack.enter_async_context(LoopbackProvider(brain=learner)) for _ in MODELS]
        models = served(a.openai_base_url, b.anthropic_base_url)
        for workers in ([], ['executor.kind="processes"', "executor.workers=2"]):
            folder = tmp_path / str(len(workers))
            folder.mkdir()
            file = write(folder, f"models = {json.dumps(MODELS)}\ntrain = true", models)
            outcome = await run(load(file, *workers))
            assert outcome.status == "done", outcome.message
            kept.append(
                [await stored(folder / "runs.db", run_id) for run_id in ("run", "run.1", "run.2")]
            )

    for alone, shared in zip(*kept, strict=True):
        for table in ("evaluations", "decisions", "episodes", "calls", "parameters"):
            assert alone[table] == shared[table], table


@pytest.mark.slow
async def test_a_comparison_killed_while_it_learns_ends_as_if_nothing_had_happened(
    tmp_path: Path,
) -> None:
    peace = tmp_path / "peace"
    peace.mkdir()
    compare = f"models = {json.dumps(MODELS)}\ntrain = true"
    ledger = tmp_path / "ledger.jsonl"
    async with provider_process(
        "--latency", "0.05", brain="tests.end_to_end.test_transfer:learner", ledger_path=ledger
    ) as provider:
        models = served(provider.openai_base_url, provider.anthropic_base_url)
        limits = "[limits]\nin_flight = 4\n"
        file = write(tmp_path, compare, limits + models)
        for enough in (20, 150):  # while it learns, and while it compares
            command = ("compare", file) if enough == 20 else ("resume", "latest")
            store = () if enough == 20 else ("--store", tmp_path / "runs.db")
            process = await start(*command, *store, "--quiet", cwd=tmp_path)
            await until(lambda n=enough: ledger.exists() and len(provider.ledger) > n, within_s=90)
            process.kill()
            await process.communicate()
        process = await start(
            "resume", "latest", "--store", tmp_path / "runs.db", "--json", cwd=tmp_path
        )
        resumed = await ended(process)
        asked = len(provider.ledger)
        whole = await funcforge(
            "compare", write(peace, compare, limits + models), "--json", cwd=peace
        )
        undisturbed = len(provider.ledger) - asked

    assert (resumed.code, whole.code) == (0, 0), resumed.err
    assert asked <= undisturbed + 2 * 6 * 4, "at each kill: what was in flight"
    for part in ("", ".1", ".2"):
        rows = await stored(tmp_path / "runs.db", resumed.told["run_id"] + part)
        calm = await stored(peace / "runs.db", whole.told["run_id"] + part)
        for table in ("evaluations", "decisions", "episodes", "calls", "parameters"):
            assert rows[table] == calm[table], (part, table)
    matrix = [{**cell} for cell in resumed.told["transfer"]]
    assert matrix == whole.told["transfer"]
    report = Path(whole.told["report"])
    cells = list(csv.DictReader(report.with_suffix(".transfer.csv").read_text().splitlines()))
    assert len(cells) == len(whole.told["transfer"]) + len(whole.told["by_category"])
    drawn = xml.etree.ElementTree.parse(report.with_suffix(".transfer.svg"))
    assert "untrained" in "".join(drawn.getroot().itertext())
    assert f"({report.stem}.transfer.svg)" in report.with_suffix(".md").read_text()
