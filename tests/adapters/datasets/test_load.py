from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.datasets import indexed
from funcforge.adapters.datasets.load import load_splits, load_task_set
from funcforge.adapters.datasets.settings import SourceSettings, SplitSettings, TaskSettings
from funcforge.engine.errors import ConfigError, TaskError

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
with_data = pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")


def written(folder: Path, rows: list[Mapping[str, Any]], name: str = "tasks.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def rows(count: int, prefix: str = "t") -> list[Mapping[str, Any]]:
    return [{"id": f"{prefix}{n}", "prompt": f"p{n}", "target": str(n)} for n in range(count)]


def test_jsonl_rows_become_tasks(tmp_path: Path) -> None:
    path = written(tmp_path, [{"id": 7, "prompt": "p", "target": 1.5, "level": 3, "none": None}])

    (task,) = load_task_set(SourceSettings(path=path))

    assert (task.id, task.prompt, task.target) == ("7", "p", "1.5")
    assert task.metadata == {"level": 3}


def test_columns_are_mapped_and_the_others_kept_as_metadata(tmp_path: Path) -> None:
    path = written(tmp_path, [{"key": "k", "q": "?", "a": True, "type": "x", "opts": ["1"]}])
    fields = {"id": "key", "prompt": "q", "target": "a", "choices": "opts"}

    (task,) = load_task_set(SourceSettings(path=path, fields=fields, category="type"))

    assert (task.id, task.prompt, task.target) == ("k", "?", "true")
    assert task.metadata["choices"] == ["1"]
    assert task.metadata["category"] == "x"


def test_rows_without_id_are_numbered_by_file(tmp_path: Path) -> None:
    path = written(tmp_path, [{"prompt": "a"}, {"prompt": "b"}], "train.jsonl")

    assert [task.id for task in load_task_set(SourceSettings(path=path))] == ["train-1", "train-2"]


def test_a_big_number_as_target_keeps_all_its_digits(tmp_path: Path) -> None:
    path = written(tmp_path, [{"prompt": "a", "target": 2**80 + 1}])

    assert next(iter(load_task_set(SourceSettings(path=path)))).target == str(2**80 + 1)


def test_a_mark_at_the_start_and_empty_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n{"prompt": "b"}')

    assert [task.prompt for task in load_task_set(SourceSettings(path=str(path)))] == ["a", "b"]


def test_limit_reads_no_further(tmp_path: Path) -> None:
    path = Path(written(tmp_path, rows(3)))
    path.write_text(path.read_text() + "nonsense")

    assert len(load_task_set(SourceSettings(path=str(path), limit=3))) == 3


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    one = load_task_set(SourceSettings(path=written(tmp_path, rows(3), "a.jsonl")))
    same = load_task_set(SourceSettings(path=written(tmp_path, rows(3), "b.jsonl")))
    other = load_task_set(SourceSettings(path=written(tmp_path, rows(4), "c.jsonl")))

    assert one.hash == same.hash != other.hash


def test_splits_are_drawn_from_one_file(tmp_path: Path) -> None:
    settings = TaskSettings(
        path=written(tmp_path, rows(50)),
        splits={"train": SplitSettings(count=10), "test": SplitSettings(count=30)},
    )

    splits = load_splits(settings, 0)

    assert splits.train is not None
    assert splits.test is not None
    trained, tested = ({task.id for task in s} for s in (splits.train, splits.test))
    assert (len(trained), len(tested), trained & tested) == (10, 30, set())


def test_splits_may_have_their_own_files(tmp_path: Path) -> None:
    settings = TaskSettings(
        splits={
            "train": SplitSettings(path=written(tmp_path, rows(5, "a"), "a.jsonl")),
            "test": SplitSettings(path=written(tmp_path, rows(5, "b"), "b.jsonl"), count=2),
        }
    )

    splits = load_splits(settings, 0)

    assert [len(s or ()) for s in (splits.train, splits.validation, splits.test)] == [5, 0, 2]


def test_a_task_in_the_files_of_two_splits_is_refused(tmp_path: Path) -> None:
    settings = TaskSettings(
        splits={
            "train": SplitSettings(path=written(tmp_path, rows(5), "a.jsonl")),
            "test": SplitSettings(path=written(tmp_path, rows(5), "b.jsonl")),
        }
    )

    with pytest.raises(TaskError, match="5 ids stand in the files of two splits"):
        load_splits(settings, 0)


def test_a_file_that_changes_while_in_use_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, rows(5))
    tasks = load_task_set(SourceSettings(path=path))
    Path(path).write_text(Path(path).read_text().replace("p3", "q3"))

    with pytest.raises(TaskError, match=r"line 4: the file changed while it was in use"):
        list(tasks)


def test_the_tasks_of_a_small_file_are_read_once_and_those_of_a_large_one_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, rows(5))
    size = Path(path).stat().st_size
    monkeypatch.setattr(indexed, "KEPT_BYTES", size)
    small = load_task_set(SourceSettings(path=path))
    monkeypatch.setattr(indexed, "KEPT_BYTES", size // 2)
    large = load_task_set(SourceSettings(path=path))

    before = list(small)
    assert list(large) == before
    Path(path).write_text(Path(path).read_text().replace("p3", "q3"))

    assert list(small) == before
    with pytest.raises(TaskError, match="the file changed while it was in use"):
        list(large)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a"', "line 2: not valid JSON"),
        ('{"prompt": NaN}', "NaN is not JSON"),
        ("[1]", "a row must be a JSON object, found a list"),
        ("[" * 100_000, "nested too deeply"),
        ('{"prmpt": "a"}', "no such column; the columns are prmpt; did you mean 'prmpt'?"),
        ('{"prompt": 3}', "line 2: prompt: must be text, found the number 3"),
        ('{"prompt": " "}', "prompt: must not be empty"),
        ('{"prompt": "a", "target": ["x"]}', "target: must be text, a number, true or false"),
        ('{"id": "t0", "prompt": "a"}', "line 2: id: the id 't0' is used twice, first in line 1"),
        ('{"id": 1.5, "prompt": "a"}', "id: must be text or a whole number, found the number 1.5"),
        ('{"prompt": "\\ud800"}', "lone surrogate"),
        ('{"prompt": "a", "files": "../x"}', "files: the attachment '../x' lies outside of"),
        ('{"prompt": "a", "files": "/etc/passwd"}', "lies outside of"),
        ('{"prompt": "a", "files": ["x.txt"]}', "the attachment 'x.txt' is missing in"),
        ('{"prompt": "a", "files": {"a/b": "t.jsonl"}}', "cannot be a file's name"),
        ('{"prompt": "a", "files": 3}', "files: must be a path, a list of paths or an object"),
        ('{"prompt": "a", "files": "x\\u0000"}', "cannot be a file's name"),
    ],
)
def test_a_wrong_row_is_named_with_line_field_found_and_allowed(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": "t0", "prompt": "fine"}\n' + line + "\n")

    with pytest.raises(TaskError) as caught:
        load_task_set(SourceSettings(path=str(path)))

    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_target_is_an_error_only_where_the_scorer_needs_one(tmp_path: Path) -> None:
    path = written(tmp_path, [{"prompt": "a"}, {"prompt": "b", "target": None}])

    assert len(load_task_set(SourceSettings(path=path))) == 2
    with pytest.raises(TaskError, match=r"line 1: target: the scorer needs a right answer"):
        load_task_set(SourceSettings(path=path, needs_target=True))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_set_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)

    with pytest.raises(TaskError, match="holds no tasks"):
        load_task_set(SourceSettings(path=str(path)))


def test_a_prompt_of_ten_megabytes_is_refused_with_the_limit(tmp_path: Path) -> None:
    path = written(tmp_path, [{"prompt": "x" * 10_000_000}])

    with pytest.raises(TaskError, match=r"prompt: a text holds at most 1,000,000 characters, "
                                        r"found 10,000,000"):  # fmt: skip
        load_task_set(SourceSettings(path=path))


def test_a_line_without_end_is_refused_with_the_limit(tmp_path: Path) -> None:
    path = written(tmp_path, [{"prompt": "x" * 17_000_000}])

    with pytest.raises(TaskError, match="a row holds at most 16,000,000 bytes"):
        load_task_set(SourceSettings(path=path))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_line_in_another_encoding_is_named(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "t"
    good, bad = ('{"prompt": "é"}', '{"prompt": "ü"}') if kind == "jsonl" else ("prompt\né", "ü")
    path.write_bytes(good.encode() + b"\n" + bad.encode("latin-1") + b"\n")

    with pytest.raises(TaskError, match=r"not valid UTF-8: byte 0xfc at column"):
        load_task_set(SourceSettings(path=str(path), kind=kind))


def test_utf16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"prompt": "a"}', encoding="utf-16")

    with pytest.raises(TaskError, match="save it as UTF-8"):
        load_task_set(SourceSettings(path=str(path)))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="there is no such file"):
        load_task_set(SourceSettings(path=str(tmp_path / "none.jsonl")))
    with pytest.raises(TaskError, match="is a folder"):
        load_task_set(SourceSettings(path=str(tmp_path)))


def test_no_split_and_no_path_are_config_errors() -> None:
    with pytest.raises(ConfigError, match="at least one of train"):
        load_splits(TaskSettings(path="x"), 0)
    with pytest.raises(ConfigError, match=r"tasks\.test: there is no file"):
        load_splits(TaskSettings(splits={"test": SplitSettings()}), 0)


def test_attachments_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("x")
    path = written(tmp_path, [{"prompt": "p", "files": {"note.txt": "docs/a.txt"}}])

    (task,) = load_task_set(SourceSettings(path=path))

    assert {name: Path(found).read_text() for name, found in task.files.items()} == {
        "note.txt": "x"
    }


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("x")
    (inside / "link").symlink_to(tmp_path / "secret")
    path = written(inside, [{"prompt": "p", "files": "link"}])

    with pytest.raises(TaskError, match="lies outside of"):
        load_task_set(SourceSettings(path=path))


def test_csv_cells_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffid,prompt,target\n1,"a, ""b""\nc\u2028d",5\n\n2,é,\n'.encode())
    tasks = load_task_set(SourceSettings(path=str(path), kind="csv"))

    assert [(task.id, task.prompt, task.target) for task in tasks] == [
        ("1", 'a, "b"\nc\u2028d', "5"),
        ("2", "é", None),
    ]
    assert [task.id for task in tasks.pick([1, 0])] == ["2", "1"]


def test_tab_separated_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("prompt\ttarget\na, b\t1\n")

    assert next(iter(load_task_set(SourceSettings(path=str(path), kind="csv")))).prompt == "a, b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("prompt,target\na\n", "line 2: a row must have 2 cells as the header has, found 1"),
        ("prompt,prompt\na,b\n", "line 1: two columns are named 'prompt'"),
        ("question\nx\n", "prompt: there is no such column; the columns are question"),
        ('prompt\n"never closed\n' + "x\n" * 100_000, "or a quote is never closed"),
        ('prompt\n"a"b\n', "not valid CSV"),
        ("prompt\n" + "x" * 5_000_000 + "\n", "a cell holds at most 131,072 characters"),
        ("prompt\na\0b\n", "NUL byte"),
        ("prompt\n", "holds no tasks"),
    ],
)
def test_a_wrong_csv_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)

    with pytest.raises(TaskError) as caught:
        load_task_set(SourceSettings(path=str(path), kind="csv"))

    assert message in str(caught.value)


def test_parquet_rows_become_tasks(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    table = {"id": [1, 2], "prompt": ["a", "b"], "target": [1.5, float("nan")], "raw": [b"x", b""]}
    parquet.write_table(pyarrow.table(table), path)

    tasks = load_task_set(SourceSettings(path=str(path), kind="parquet"))

    assert [(task.id, task.target) for task in tasks] == [("1", "1.5"), ("2", None)]
    assert len(list(tasks)) == 2


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    path.write_text("nonsense")

    with pytest.raises(TaskError, match="cannot be read as Parquet"):
        load_task_set(SourceSettings(path=str(path), kind="parquet"))


@pytest.mark.parametrize("split", ["train", None])
def test_a_local_hugging_face_set_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str | None
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    written(tmp_path / "set", rows(3), "train.jsonl")
    source = SourceSettings(path=str(tmp_path / "set"), kind="huggingface", split=split)

    assert [task.id for task in load_task_set(source)] == ["t0", "t1", "t2"]
    with pytest.raises(ConfigError, match="no split 'dev'; the splits are train"):
        load_task_set(SourceSettings(path=str(tmp_path / "set"), kind="huggingface", split="dev"))


@pytest.mark.parametrize(("kind", "module"), [("parquet", "pyarrow"), ("huggingface", "datasets")])
def test_a_missing_extra_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, module: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    path = written(tmp_path, rows(1))

    with pytest.raises(ConfigError, match=rf"pip install \"funcforge\[{kind}\]\""):
        load_task_set(SourceSettings(path=path, kind=kind))


@with_data
def test_gsm8k_is_read_in_its_native_form() -> None:
    source = SourceSettings(path=str(DATA / "gsm8k/test.jsonl"), kind="gsm8k", needs_target=True)
    tasks = list(load_task_set(source))

    assert len(tasks) == 200
    assert all(task.target and float(task.target.replace(",", "")) is not None for task in tasks)
    assert "####" not in tasks[0].metadata["solution"]


def test_a_gsm8k_answer_without_mark_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, [{"question": "q", "answer": "just 5"}])

    with pytest.raises(TaskError, match=r"answer: must end with a line '#### N'"):
        load_task_set(SourceSettings(path=path, kind="gsm8k"))


@with_data
def test_math_is_read_in_its_native_form() -> None:
    source = SourceSettings(path=str(DATA / "math/test.jsonl"), kind="math", needs_target=True)
    tasks = list(load_task_set(source))

    assert len(tasks) == 560
    assert all(task.target for task in tasks)
    assert len({task.metadata["category"] for task in tasks}) == 7


def test_math_is_read_from_folders_of_problems(tmp_path: Path) -> None:
    (tmp_path / "algebra").mkdir()
    problem = {"problem": "p", "solution": "so $\\boxed{\\frac{1}{2}}$", "type": "Algebra"}
    (tmp_path / "algebra" / "1.json").write_text(json.dumps(problem, indent=2))

    (task,) = load_task_set(SourceSettings(path=str(tmp_path), kind="math"))

    assert (task.id, task.target) == ("algebra/1.json", "\\frac{1}{2}")
    assert task.metadata["category"] == "Algebra"


def test_a_math_solution_without_box_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, [{"problem": "q", "solution": "5"}])

    with pytest.raises(TaskError, match=r"solution: must hold the answer in \\boxed"):
        load_task_set(SourceSettings(path=path, kind="math", needs_target=True))


@with_data
def test_tabmwp_is_read_in_its_native_form_with_the_table_as_a_file() -> None:
    import csv

    source = SourceSettings(
        path=str(DATA / "tabmwp/problems_dev200.json"), kind="tabmwp", needs_target=True
    )
    task_set = load_task_set(source)  # its tables live as long as it does
    tasks = list(task_set)

    assert len(tasks) == 200
    for task in tasks:
        assert task.metadata["table_for_pd"]
        with open(task.files["table.csv"], encoding="utf-8", newline="") as file:
            found = list(csv.reader(file))
        assert len(found[0]) == len(task.metadata["table_for_pd"])
    choice = next(task for task in tasks if task.metadata.get("choices"))
    assert "Options: (A) " in choice.prompt


def test_a_wrong_tabmwp_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    for content, message in (
        ("[]", "must be a JSON object of id: problem, found a list"),
        ('{"1": 3}', "1: a problem must be a JSON object, found the number 3"),
        ('{"1": {"choices": "x"}}', "choices: must be a list of texts"),
        ('{"1": {"table_for_pd": 1}}', "table_for_pd: must be an object"),
        ("{", "not valid JSON"),
    ):
        path.write_text(content)
        with pytest.raises(TaskError) as caught:
            load_task_set(SourceSettings(path=str(path), kind="tabmwp"))
        assert message in str(caught.value)


def gaia(**changes: Any) -> dict[str, Any]:
    return {"task_id": "g1", "Question": "How many?", "Level": 1, "Final answer": "17",
            "file_name": "", "Annotator Metadata": {"Steps": "1. look"}, **changes}  # fmt: skip


def test_gaia_is_read_with_its_attachments(tmp_path: Path) -> None:
    (tmp_path / "g2.txt").write_text("x")
    path = written(
        tmp_path,
        [gaia(), gaia(task_id="g2", Level="2", file_name="g2.txt", file_path="2023/g2.txt")],
        "metadata.jsonl",
    )

    one, two = load_task_set(SourceSettings(path=path, kind="gaia", needs_target=True))

    assert (one.id, one.target, one.files, one.metadata["category"]) == ("g1", "17", {}, "1")
    assert list(two.files) == ["g2.txt"]
    assert "g2.txt" in two.prompt


def test_gaia_is_read_from_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([gaia()]), tmp_path / "metadata.parquet")

    (task,) = load_task_set(
        SourceSettings(path=str(tmp_path / "metadata.parquet"), kind="gaia", needs_target=True)
    )

    assert task.target == "17"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Level": 4}, "Level: must be 1, 2 or 3, found the number 4"),
        ({"Final answer": "?"}, "is hidden"),
        ({"file_name": "gone.txt"}, "the attachment 'gone.txt' is missing"),
        ({"file_name": "../x"}, "lies outside of"),
        ({"Question": None}, "Question: must be text, found nothing"),
    ],
)
def test_a_wrong_gaia_row_is_named(tmp_path: Path, changes: Any, message: str) -> None:
    path = written(tmp_path, [gaia(**changes)], "metadata.jsonl")

    with pytest.raises(TaskError) as caught:
        load_task_set(SourceSettings(path=path, kind="gaia", needs_target=True))

    assert message in str(caught.value)


def test_hidden_gaia_answers_are_no_target(tmp_path: Path) -> None:
    path = written(tmp_path, [gaia(**{"Final answer": "?"})], "metadata.jsonl")

    assert next(iter(load_task_set(SourceSettings(path=path, kind="gaia")))).target is None
