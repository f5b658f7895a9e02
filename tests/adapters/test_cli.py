"""The command line: what goes to stdout, what to stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from funcforge.adapters.cli.app import invoke
from funcforge.adapters.exporters.json import read_parameters
from funcforge.engine.checkpoint import Checkpoint, RunRecord
from funcforge.engine.errors import RunOwned
from funcforge.engine.events import EvaluationFinished, RunFinished
from funcforge.engine.progress import Progress
from funcforge.storage.database import open_store

from tests.adapters.views.happenings import EMPTY, LEARNED, finished, whole_run

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FUNCFORGE_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
async def stored(here: Path) -> Path:
    """A working folder with one finished run, `r1`."""
    summaries = {
        name: event
        for name, event in [
            ("before/train", finished("train/0", EMPTY, 0.25)),
            ("after/train", finished("train/1", LEARNED, 0.75)),
            ("before/test", finished("test/before", EMPTY, 0.0)),
            ("after/test", finished("test/after", LEARNED, 1.0)),
        ]
        if isinstance(event, EvaluationFinished)
    }
    progress = Progress(
        incumbent=LEARNED.version, initial=EMPTY.version, step=1, accepted=1, summaries=summaries
    )
    async with open_store(".funcforge/runs.db") as store:
        record = RunRecord(
            id="r1", kind="train", name="quick", config={"training": {"accept_on": "train"}},
            seed=7, created_at_unix_s=1.0, sandbox="bubblewrap",
        )  # fmt: skip
        await store.begin(record)
        for event in whole_run():
            await store.handle(event)
        await store.save_checkpoint("r1", Checkpoint(step=1, state=progress.to_json()))
    return here


def answer(capsys: Captured) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_help_names_every_command(capsys: Captured) -> None:
    assert invoke(["--help"]) == 0

    text = capsys.readouterr().out
    for name in ("train", "evaluate", "table", "runs", "show", "diff", "export", "drop", "call",
                 "doctor", "resume"):  # fmt: skip
        assert f"  {name} " in text


@pytest.mark.parametrize("arguments", [["fly"], ["train"], ["train", "a", "b"], ["runs", "--no"]])
def test_bad_usage_exits_with_2(arguments: list[str], capsys: Captured) -> None:
    assert invoke(arguments) == 2
    assert capsys.readouterr().out == ""


def test_a_bad_config_exits_with_2_and_says_why(here: Path, capsys: Captured) -> None:
    Path("bad.toml").write_text("[agent]\nmodle = 'a/b'\n")

    assert invoke(["train", "bad.toml"]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert 'bad.toml: agent.modle: unknown key; did you mean "model"?' in captured.err


def test_an_error_under_json_is_one_object(here: Path, capsys: Captured) -> None:
    assert invoke(["train", "no.toml", "--json"]) == 2

    assert answer(capsys) == {
        "error": {"kind": "ConfigError", "message": "no.toml: there is no such file"}
    }


def test_no_runs_yet_is_no_error(here: Path, capsys: Captured) -> None:
    assert invoke(["runs"]) == 0
    assert invoke(["runs", "--json"]) == 0

    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"runs": []}
    assert "no runs yet" in captured.err
    assert not Path(".funcforge").exists()


@pytest.mark.parametrize("command", ["show", "diff", "export", "resume", "evaluate"])
def test_an_unknown_run_exits_with_2(here: Path, capsys: Captured, command: str) -> None:
    assert invoke([command, "nowhere"]) == 2
    assert "there is no run 'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["runs", "show latest", "export latest", "resume latest"])
def test_a_folder_in_the_place_of_the_database_is_named(
    here: Path, capsys: Captured, command: str
) -> None:
    assert invoke([*command.split(), "--store", str(here)]) == 2
    assert f"{here}: this is a folder. Name the database in it" in capsys.readouterr().err


def test_runs_are_listed(stored: Path, capsys: Captured) -> None:
    assert invoke(["runs"]) == 0
    assert "r1" in capsys.readouterr().out

    assert invoke(["runs", "--json"]) == 0
    (run,) = answer(capsys)["runs"]
    assert (run["run_id"], run["status"], run["stopped_by"]) == ("r1", "done", "epochs")
    assert run["before"] == {"train": 0.25, "test": 0.0}
    assert run["after"] == {"train": 0.75, "test": 1.0}


def test_show_keeps_the_json_contract(stored: Path, capsys: Captured) -> None:
    assert invoke(["show", "r1", "--json"]) == 0

    told = answer(capsys)
    assert told["run_id"] == "r1"
    assert (told["status"], told["stopped_by"]) == ("done", "epochs")
    assert told["before"]["test"] == {
        "score": 0.0, "low": 0.0, "high": 0.1, "tasks": 4, "failed": 0,
    }  # fmt: skip
    assert told["after"]["train"]["score"] == 0.75
    assert told["after"]["validation"] is None
    contract = ("step", "outcome", "reason", "score")
    assert [{key: one[key] for key in contract} for one in told["decisions"]] == [
        {"step": 1, "outcome": "accepted", "reason": "3 of 4 solved instead of 1", "score": 0.75}
    ]
    assert told["functions"] == ["rate"]
    assert [
        (e["name"], e["standing"], e["accepted_in"], e["complexity"]) for e in told["ledger"]
    ] == [("rate", "in_use", 1, 1)]
    assert set(told["usage"]) >= {"calls", "prompt_tokens", "completion_tokens", "cost_usd"}
    assert isinstance(told["seconds"], float)


def test_show_draws_the_curve_and_writes_the_report(stored: Path, capsys: Captured) -> None:
    assert invoke(["show", "r1"]) == 0

    text = capsys.readouterr().out
    assert "step 1 accepted 25.0 % → 75.0 %" in text
    assert "refused: no call in the reply" in text
    assert "●" in text
    assert "\x1b" not in text
    report = stored / ".funcforge/reports/r1.html"
    assert str(report) in text
    assert "def rate(km, h):" in report.read_text("utf-8")


def test_a_report_that_cannot_be_written_is_named(stored: Path, capsys: Captured) -> None:
    Path("file").write_text("")

    assert invoke(["show", "r1", "--html", "file/report.html"]) == 2
    assert "file/report.html: cannot be written" in capsys.readouterr().err


def test_a_run_is_shown_where_no_report_can_be_written(stored: Path, capsys: Captured) -> None:
    Path(".funcforge/reports").write_text("")

    assert invoke(["show", "r1"]) == 0
    captured = capsys.readouterr()
    assert "step 1 accepted" in captured.out
    assert "report:" not in captured.out
    assert "r1.html: cannot be written" in captured.err

    assert invoke(["show", "r1", "--json"]) == 0
    assert answer(capsys)["report"] is None


def test_diff_shows_what_a_step_changed(stored: Path, capsys: Captured) -> None:
    assert invoke(["diff", "r1"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("rate added\n")
    assert "+def rate(km, h):" in text

    assert invoke(["diff", "r1", "0", "1"]) == 0
    assert capsys.readouterr().out == text

    assert invoke(["diff", "r1", "1", "result"]) == 0
    assert "nothing differs" in capsys.readouterr().err

    assert invoke(["diff", "r1", "--json"]) == 0
    told = answer(capsys)
    assert (told["a"], told["b"]) == (EMPTY.version, LEARNED.version)
    assert [(one["name"], one["change"]) for one in told["changes"]] == [("rate", "added")]


def test_a_version_that_the_run_lacks_is_refused(stored: Path, capsys: Captured) -> None:
    assert invoke(["diff", "r1", "9"]) == 2
    assert "the run has no version '9'; give start, result, a step from 0 to 1" in (
        capsys.readouterr().err
    )


def test_export_writes_to_stdout_or_a_file(stored: Path, capsys: Captured) -> None:
    assert invoke(["export", "r1"]) == 0
    source = capsys.readouterr().out
    assert "version" in source.splitlines()[0]
    assert "100.0% on test" in source.splitlines()[0]

    assert invoke(["export", "r1", "-o", "made/functions.py", "--json"]) == 0
    captured = capsys.readouterr()
    assert Path("made/functions.py").read_text() == source
    assert json.loads(captured.out)["functions"] == ["rate"]

    assert invoke(["export", "r1", "--format", "openai"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["function"]["name"] == "rate"

    assert invoke(["export", "r1", "--format", "java"]) == 2
    assert "allowed are python, openai, json" in capsys.readouterr().err


def test_drop_writes_a_version_without_a_function(stored: Path, capsys: Captured) -> None:
    assert invoke(["drop", "r1", "rate", "--json"]) == 0

    told = answer(capsys)
    assert (told["from_version"], told["dropped"]) == (LEARNED.version, ["rate"])
    assert read_parameters(told["file"]) == EMPTY
    assert told["version"] == EMPTY.version
    assert told["evaluate"] == f"funcforge evaluate r1 --set parameters={told['file']}"
    # the run stays as it was
    assert invoke(["show", "r1", "--json"]) == 0
    assert answer(capsys)["functions"] == ["rate"]


def test_a_function_that_the_version_lacks_cannot_be_dropped(
    stored: Path, capsys: Captured
) -> None:
    assert invoke(["drop", "r1", "rate", "ratee"]) == 2

    assert "has no function 'ratee'; it has: rate" in capsys.readouterr().err
    assert not (stored / ".funcforge" / "parameters").exists()


def test_a_finished_run_is_not_resumed(stored: Path, capsys: Captured) -> None:
    assert invoke(["resume", "r1"]) == 2
    assert "run r1 is done: there is nothing to resume" in capsys.readouterr().err


async def test_an_unsafe_sandbox_is_named_in_every_listing(here: Path, capsys: Captured) -> None:
    async with open_store("runs.db") as store:
        await store.begin(
            RunRecord(id="u", kind="train", name="", config={}, seed=0, sandbox="unsafe")
        )
        await store.handle(RunFinished(run_id="u", status="failed", stopped_by="error"))

    assert invoke(["show", "u", "--store", "runs.db"]) == 0
    assert "UNSAFE" in capsys.readouterr().out
    assert invoke(["runs", "--store", "runs.db"]) == 0
    assert "UNSAFE" in capsys.readouterr().out


# -- call ------------------------------------------------------------------------------------


CODE = """
import math

def area(r: float):
    print("measuring")
    return round(math.pi * r * r, 2)

def broken():
    return 1 / 0

def lost():
    while True:
        pass
"""


@pytest.fixture
def functions(here: Path) -> Path:
    file = here / "functions.py"
    file.write_text(CODE)
    return file


def test_call_keeps_the_json_contract(functions: Path, capsys: Captured) -> None:
    code = invoke(["call", str(functions), "area", "--args", '{"r": 2}', "--json"])

    told = answer(capsys)
    assert code == 0
    assert (told["outcome"], told["value"], told["error"]) == ("value", 12.57, None)
    assert told["stdout"] == "measuring\n"
    assert told["elapsed_s"] > 0


def test_call_prints_the_value_to_stdout_and_the_rest_to_stderr(
    functions: Path, capsys: Captured
) -> None:
    assert invoke(["call", str(functions), "area", "--args", '{"r": 2}']) == 0

    captured = capsys.readouterr()
    assert captured.out == "12.57\n"
    assert "measuring" in captured.err


def test_a_call_that_gives_no_value_exits_with_1(functions: Path, capsys: Captured) -> None:
    assert invoke(["call", str(functions), "broken", "--json"]) == 1
    told = answer(capsys)
    assert told["outcome"] == "exception"
    assert "ZeroDivisionError" in told["error"]

    assert invoke(
        ["call", str(functions), "lost", "--json", "--set", "sandbox.seconds=0.5"]
    ) == 1  # fmt: skip
    assert answer(capsys)["outcome"] == "timeout"


def test_arguments_are_checked_as_an_agents_would_be(functions: Path, capsys: Captured) -> None:
    assert invoke(["call", str(functions), "area", "--args", '{"r": "x"}', "--json"]) == 1
    assert answer(capsys)["outcome"] == "refused"

    assert invoke(["call", str(functions), "area", "--args", "{"]) == 2
    assert "--args: is not valid JSON" in capsys.readouterr().err
    assert invoke(["call", str(functions), "area", "--args", "[1]"]) == 2
    assert "must be a JSON object" in capsys.readouterr().err
    assert invoke(["call", str(functions), "volume"]) == 2
    assert "there is no function 'volume'; it defines area, broken, lost" in (
        capsys.readouterr().err
    )


# -- doctor ----------------------------------------------------------------------------------


def test_doctor_names_each_thing_and_the_command_that_fixes_it(
    here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    invoke(["doctor", "--json"])

    told = answer(capsys)
    checks = {check["name"]: check for check in told["checks"]}
    assert {"python", "packages", "sqlite", "keys", "sandbox bubblewrap"} <= set(checks)
    assert all(check["fix"] for check in told["checks"] if check["state"] != "ok")
    assert told["ok"] == all(check["state"] != "missing" for check in told["checks"])


def test_doctor_says_how_to_set_the_key_that_a_config_lacks(
    here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("funcforge.adapters.doctor._sandboxes", lambda: iter(()))
    arguments = ["doctor", str(QUICKSTART), "--set", "agent.model=openai/gpt-4o-mini", "--json"]

    assert invoke(arguments) == 1

    fixes = [check["fix"] for check in answer(capsys)["checks"] if check["state"] == "missing"]
    assert fixes == ["export OPENAI_API_KEY=..."]


# -- train and evaluate ----------------------------------------------------------------------


QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.toml"
SMALL = [
    "--set", "tasks.train=12", "--set", "tasks.validation=6", "--set", "tasks.test=6",
    "--set", "tasks.stratify=false", "--set", "training.steps=1", "--set", "sandbox.packages=[]",
]  # fmt: skip


@pytest.mark.slow
def test_train_stop_resume_and_evaluate_keep_the_json_contract(here: Path) -> None:
    paused = program("train", str(QUICKSTART), *SMALL, "--set", "budget.calls=10", "--json")
    assert paused.returncode == 3, paused.stderr
    stopped = json.loads(paused.stdout)
    assert (stopped["status"], stopped["stopped_by"]) == ("paused", "budget")
    assert stopped["usage"]["calls"] <= 10

    resumed = program("resume", stopped["run_id"], "--set", "budget.calls=1000", "--json")
    assert resumed.returncode == 0, resumed.stderr
    told = json.loads(resumed.stdout)
    assert (told["run_id"], told["status"]) == (stopped["run_id"], "done")
    assert told["stopped_by"] in ("steps", "solved")
    assert told["before"]["test"]["tasks"] == told["after"]["test"]["tasks"] == 6
    assert [decision["step"] for decision in told["decisions"]] == [1]

    scored = program("evaluate", stopped["run_id"], "--json")
    assert scored.returncode == 0, scored.stderr
    evaluated = json.loads(scored.stdout)
    assert {"run_id", "score", "low", "high", "tasks", "failed", "usage", "seconds"} <= set(
        evaluated
    )
    assert evaluated["score"] == told["after"]["test"]["score"]

    if told["functions"]:  # what the run learned, without its first function, on the same tasks
        dropped = json.loads(program("drop", told["run_id"], told["functions"][0], "--json").stdout)
        rescored = program(*dropped["evaluate"].split()[1:], "--json")
        assert rescored.returncode == 0, rescored.stderr
        again = json.loads(rescored.stdout)
        assert (again["parameters_version"], again["tasks"]) == (dropped["version"], 6)


# -- the program -----------------------------------------------------------------------------


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "funcforge", *arguments],
        capture_output=True, text=True, check=False, timeout=240, **options,
    )  # fmt: skip


def test_the_module_runs_as_a_program(here: Path) -> None:
    done = program("runs", "--json")

    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, {"runs": []}, "")


def test_a_reader_that_leaves_is_no_traceback(stored: Path) -> None:
    shell = f"{sys.executable} -m funcforge export r1 --format openai | true"

    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=False, timeout=60
    )

    assert "Traceback" not in done.stderr


def test_quick_commands_import_nothing_heavy(here: Path) -> None:
    code = (
        "import sys\n"
        "from funcforge.adapters.cli.app import invoke\n"
        "invoke(['--help']); invoke(['runs'])\n"
        "heavy = {'litellm', 'pydantic', 'scipy', 'numpy', 'pandas', 'sympy', 'jsonschema', 'rich',"
        " 'structlog', 'aiosqlite', 'jinja2', 'anyio'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stderr.splitlines()[-1] == "[]"


def test_a_run_that_another_process_works_on_is_refused_with_2(
    here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch(watched: Any, *_: Any) -> None:
        watched.run = SimpleNamespace(id="r1", outcome=None)
        raise RunOwned("run r1 is worked on by process 5", path="runs.db")

    monkeypatch.setattr("funcforge.adapters.cli.running._watch", watch)

    assert invoke(["train", str(QUICKSTART)]) == 2
    assert "run r1 is worked on by process 5" in capsys.readouterr().err


@pytest.mark.parametrize("opened", [False, True], ids=["before it is opened", "while it begins"])
def test_a_run_that_is_interrupted_before_it_began_exits_with_130(
    here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    async def watch(watched: Any, *_: Any) -> None:
        if opened:
            watched.run = SimpleNamespace(id="r9", outcome=None)

    monkeypatch.setattr("funcforge.adapters.cli.running._watch", watch)

    assert invoke(["train", str(QUICKSTART), "--json"]) == 130
    assert answer(capsys)["error"]["message"] == (
        "interrupted before the run began: there is nothing to resume"
    )
