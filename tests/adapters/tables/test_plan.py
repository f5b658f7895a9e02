"""A table's file: what is laid out, and what is refused before anything is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from funcforge.adapters.tables.plan import Plan, load_table
from funcforge.engine.errors import ConfigError, TaskError

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
BASE = """
[agent]
model = "embedded/apprentice"
[tasks]
path = "tasks.jsonl"
category = "kind"
train = 2
test = 2
"""
TABLE = """
name = "A table"
base = "base.toml"
seeds = [3, 5]
[[axis]]
name = "kind"
[[axis.value]]
name = "Sums & more"
set = { "tasks.train.categories" = ["sum"], tasks.test.categories = ["sum"] }
[[axis.value]]
name = "untrained"
learn = false
[[axis]]
name = "agent"
[[axis.value]]
name = "ReAct"
set = { agent = { kind = "react" } }
[[transfer]]
name = "products"
set = { "tasks.test.categories" = ["product"] }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        f'{{"prompt": "What is {n} and 1?", "target": "{n + 1}", "kind": "{kind}"}}'
        for n in range(8)
        for kind in ("sum", "product")
    ]
    (tmp_path / "tasks.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "base.toml").write_text(BASE, encoding="utf-8")
    return tmp_path


def load(folder: Path, text: str, *overrides: str) -> Plan:
    path = folder / "table.toml"
    path.write_text(text, encoding="utf-8")
    return load_table(path, overrides)


def test_a_row_for_each_combination_and_a_run_for_each_seed(folder: Path) -> None:
    plan = load(folder, TABLE)

    assert (plan.axes, plan.transfers, plan.slug) == (("kind", "agent"), ("products",), "a-table")
    assert [(job.labels, job.seed, job.learn) for job in plan.jobs] == [
        (("Sums & more", "ReAct"), 3, True),
        (("Sums & more", "ReAct"), 5, True),
        (("untrained", "ReAct"), 3, False),
        (("untrained", "ReAct"), 5, False),
    ]
    first = plan.jobs[0]
    assert (first.config.seed, first.config.agent.kind) == (3, "react")
    assert first.config.tasks.train is not None
    assert first.config.tasks.train.categories == ("sum",)
    assert first.config.tasks.train.count == 2
    assert [transfer.name for transfer in first.transfers] == ["products"]
    assert first.transfers[0].config.tasks.test is not None
    assert first.transfers[0].config.tasks.test.categories == ("product",)
    assert plan.jobs[2].transfers == ()


def test_a_runs_id_follows_from_what_bears_on_its_result(folder: Path) -> None:
    plan = load(folder, TABLE)

    same = load(folder, TABLE, "budget.calls=5", "limits.in_flight=2")
    epochs = load(folder, TABLE, "training.epochs=3")
    (folder / "tasks.jsonl").write_text(
        (folder / "tasks.jsonl").read_text("utf-8").replace("and 1", "plus 1"), encoding="utf-8"
    )
    tasks = load(folder, TABLE)

    ids = [job.run_id for job in plan.jobs]
    assert len(set(ids)) == 4
    assert ids[0].startswith("a-table-sums-more-react-s3-")
    assert [job.run_id for job in same.jobs] == ids
    assert not {job.run_id for job in epochs.jobs} & set(ids)
    assert not {job.run_id for job in tasks.jobs} & set(ids)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('base = "base.toml"', 'base = "no.toml"', "no.toml.*no such file"),
        ("seeds = [3, 5]", "seeds = []", "seeds"),
        ("seeds = [3, 5]", "seeds = [3, 3]", "seed '3' stands in it twice"),
        ('name = "untrained"', 'name = "Sums & more"', "stands in it twice"),
        ("learn = false", "lern = false", "lern"),
        ('kind = "react"', 'kind = "reakt"', "row 'Sums & more, ReAct'.*agent.kind"),
        ('"tasks.train.categories"', '"tasks.train.category"', "tasks.train.category"),
        ('name = "A table"', '[agent]\nmodel = "a/b"', "no table"),
        ("[[axis]]", "[[axis", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(
    folder: Path, before: str, after: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        load(folder, TABLE.replace(before, after, 1))


def test_a_row_whose_tasks_cannot_be_had_is_refused(folder: Path) -> None:
    with pytest.raises(TaskError, match="product"):
        load(folder, TABLE.replace('["product"]', '["products"]'))


def test_seeds_stand_in_the_table_alone(folder: Path) -> None:
    with pytest.raises(ConfigError, match="seeds stand in its file"):
        load(folder, TABLE, "seed=4")


@pytest.mark.skipif(not DATA.exists(), reason="the data samples are not in ../shared/data")
@pytest.mark.parametrize("name", ["ablation", "batch", "transfer", "curve"])
def test_the_papers_tables_are_complete(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    overrides = [
        f"tasks.train.path={DATA / 'math' / 'train.jsonl'}",
        f"tasks.test.path={DATA / 'math' / 'test.jsonl'}",
        *(["tasks.train.count=40"] if name == "batch" else []),  # the sample has no more
    ]

    plan = load_table(ROOT / "examples" / "paper" / f"{name}.toml", overrides)

    assert len(plan.jobs) == {"ablation": 27, "batch": 36, "transfer": 9, "curve": 9}[name]
    assert all(job.config.training.acceptance == "paper" for job in plan.jobs)
    assert {job.config.training.epochs for job in plan.jobs} <= {10, 13, 20, 40}
