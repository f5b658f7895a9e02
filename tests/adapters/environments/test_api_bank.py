"""API-Bank on a small data folder: isolated sessions, what APIs reject, tasks and their scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.config import load_config
from funcforge.adapters.datasets.load import load_splits, load_task_set
from funcforge.adapters.datasets.settings import SourceSettings, SplitSettings, TaskSettings
from funcforge.adapters.doctor import check_config
from funcforge.adapters.environments.api_bank import ApiBank
from funcforge.adapters.environments.api_bank.apis import APIS
from funcforge.adapters.environments.api_bank.checkers import correct
from funcforge.adapters.environments.api_bank.official import read_call, spell_call, typed
from funcforge.adapters.parts import make_environment, world_tools
from funcforge.adapters.scorers.api_bank import api_bank as score
from funcforge.engine.agents.settings import DialogueSettings
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.environment import open_world
from funcforge.engine.episode import Episode, FunctionCall, Job
from funcforge.engine.errors import (
    ConfigError,
    EnvironmentFailed,
    InvalidReply,
    ScorerError,
    TaskError,
)
from funcforge.engine.messages import Message, Reply, Request, ToolCall
from funcforge.engine.tasks import Task
from funcforge.engine.usage import Usage
from funcforge.storage.memory import MemoryStore

from benchmarks.api_bank import DATA
from tests.adapters.environments.bank import write_bank
from tests.engine.test_environment import Teller, episodes, evaluation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bank(tmp_path / "bank")


@pytest.fixture
def bank(folder: Path) -> ApiBank:
    return ApiBank(folder)


def tasks(folder: Path, subset: str | None = None) -> list[Task]:
    settings = SourceSettings(path=str(folder), kind="api_bank", subset=subset, needs_target=True)
    return list(load_task_set(settings))


# -- sessions -------------------------------------------------------------------------------


async def test_sessions_share_no_state_and_what_they_did_can_be_seen(bank: ApiBank) -> None:
    one, two = bank.session(0), bank.session(0)
    alarm = {"token": "tok1", "time": "2023-05-01 08:00:00"}

    added = await one.call("AddAlarm", alarm)
    seen = await one.call("QueryAlarm", alarm)
    unseen = await two.call("QueryAlarm", alarm)

    assert (added.value, seen.value) == ("success", {"username": "ann", "time": alarm["time"]})
    assert (unseen.outcome, unseen.error) == (
        "exception", "You have no alarm clock at time : 2023-05-01 08:00:00",
    )  # fmt: skip
    assert one.snapshot()["changes"] == {"Alarm": {"2": {"username": "ann", "time": alarm["time"]}}}
    assert two.snapshot()["changes"] == {}
    assert [call["output"] for call in one.snapshot()["calls"]] == [added.value, seen.value]


async def test_a_recorded_result_is_not_changed_by_later_calls(bank: ApiBank) -> None:
    session = bank.session(0)
    person = {"patient_name": "P", "date": "2023-05-01", "doctor_name": "D"}
    key = (await session.call("AppointmentRegistration", person)).value

    found = session.execute("AppointmentRegistration", person)
    before = json.dumps(session.snapshot())
    session._state.table("Appointments")[key]["doctor_name"] = "E"

    assert found["exception"] == "This appointment has already been registered."
    assert json.loads(before)["calls"] == session.snapshot()["calls"]


async def test_ids_are_drawn_by_the_seed_alone(bank: ApiBank) -> None:
    person = {"patient_name": "P", "date": "2023-05-01", "doctor_name": "D"}

    drawn = [
        bank.session(seed).execute("AppointmentRegistration", person)["output"]
        for seed in (1, 1, 2)
    ]

    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("GetUserToken", {"username": "eve", "password": "x"}, "The username does not exist."),
        ("AddAlarm", {"token": "no", "time": "2023-05-01 08:00:00"}, "The token is invalid."),
        ("AddAlarm", {"token": "tok1", "time": "2023-05-01"}, "does not match format"),
        ("Calculator", {"formula": "2**9**9**9"}, "invalid formula"),
        ("Calculator", {"formula": "1/0"}, "invalid formula"),
        ("Calculator", {"formula": "(" * 150 + "1+1"}, "invalid formula"),
        ("Calculator", {"formula": "__import__('os')"}, "invalid formula"),
        ("RecordHealthData", {"user_id": "a", "time": "2023-05-01 08:00:00",
                              "health_data": [{"x": 1}]}, "invalid format"),
        ("ToolSearcher", {"keywords": "zzz"}, "No tool fits"),
    ],
)  # fmt: skip
async def test_what_an_api_rejects_is_an_exception_to_read(
    bank: ApiBank, name: str, arguments: dict[str, Any], message: str
) -> None:
    result = await bank.session(0).call(name, arguments)

    assert result.outcome == "exception"
    assert message in result.error


async def test_a_snapshot_stays_short_however_much_an_agent_calls(bank: ApiBank) -> None:
    session = bank.session(0)
    for number in range(400):
        text = f"{number} " + "x" * 1_000
        await session.call(
            "AppointmentRegistration",
            {"patient_name": text, "date": "2023-05-01", "doctor_name": "D"},
        )

    snapshot = session.snapshot()

    assert len(json.dumps(snapshot)) < 100_000
    assert snapshot["made"] == 400
    assert snapshot["changes"] == {"Appointments": 400}


@pytest.mark.skipif(not DATA.is_dir(), reason="the data are not on this machine")
def test_every_described_api_is_implemented_and_becomes_a_tool() -> None:
    bank = ApiBank(DATA)

    tools = bank.session(0).tools()

    assert len(tools) == 53
    assert {tool.name for tool in tools} == {*APIS, "ToolSearcher"}
    for tool in tools:
        assert set(tool.arguments["required"]) <= set(tool.arguments["properties"])


# -- calls as text --------------------------------------------------------------------------


def test_calls_are_read_as_the_official_parser_reads_them(bank: ApiBank) -> None:
    described = bank.descriptions["BookHotel"]["input_parameters"]

    name, parameters = read_call(
        "[BookHotel(hotel_name='Don't', room_count = \"2\", child_count=0)]"
    )

    assert (name, parameters) == (
        "BookHotel", {"hotel_name": "Don", "room_count": "2", "child_count": "0"},
    )  # fmt: skip
    assert typed(parameters, described)["room_count"] == 2
    assert read_call(spell_call("A", {"b": "c d"})) == ("A", {"b": "c d"})
    with pytest.raises(InvalidReply, match="invalid parameter name: stars"):
        typed({"stars": "5"}, described)
    with pytest.raises(InvalidReply, match="invalid value of room_count"):
        typed({"room_count": "two"}, described)
    with pytest.raises(InvalidReply, match="there is no call"):
        read_call("I cannot do that.")


# -- tasks ----------------------------------------------------------------------------------


def test_each_call_that_passes_its_checker_is_a_task(folder: Path) -> None:
    found = tasks(folder)

    assert [task.id for task in found] == ["alarm/1", "alarm/2", "sum/1", "sum/2"]
    assert found[1].metadata == {
        "category": "level-1", "group": "alarm", "apis": ["AddAlarm", "GetUserToken"],
    }  # fmt: skip
    assert (
        "API: [GetUserToken(username='ann', password='pw')] -> {'token': 'tok1'}" in found[1].prompt
    )
    assert "AddAlarm(" not in found[1].prompt
    assert json.loads(found[1].target or "")["api_name"] == "AddAlarm"
    assert [task.metadata["apis"] for task in found[2:]] == [
        ["ToolSearcher"], ["Calculator", "ToolSearcher"],
    ]  # fmt: skip


def test_replies_right_after_a_call_are_tasks_of_their_own(folder: Path) -> None:
    found = tasks(folder, "replies")

    assert [(task.id, task.target) for task in found] == [
        ("alarm/3", "The alarm is set."), ("sum/3", "It is 5."),
    ]  # fmt: skip


@pytest.mark.skipif(not DATA.is_dir(), reason="the data are not on this machine")
def test_no_dialogue_stands_in_two_splits() -> None:
    settings = TaskSettings(
        path=str(DATA),
        kind="api_bank",
        needs_target=True,
        splits={"train": SplitSettings(), "test": SplitSettings(count=60)},
    )

    splits = load_splits(settings, 0)

    assert splits.train is not None
    assert splits.test is not None
    groups = [{task.metadata["group"] for task in part} for part in (splits.train, splits.test)]
    assert len(splits.test) == 60
    assert not groups[0] & groups[1]
    assert len(splits.train) > 100


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "api_descriptions.json").unlink(), "api_descriptions.json: cannot be read"),
        (lambda f: (f / "api_descriptions.json").write_text("{"), "is not valid JSON"),
        (lambda f: (f / "api_descriptions.json").write_text('{"Fly": {"name": "Fly"}}'),
         "describes Fly, which is not implemented"),
        (lambda f: (f / "init_database" / "Bank.json").unlink(), "lacks the database Bank.json"),
        (lambda f: (f / "level-1-x" / "alarm.jsonl").write_text('{"role": "Judge"}'),
         "alarm.jsonl, line 1: role: must be User, AI or API"),
        (lambda f: (f / "level-1-x" / "alarm.jsonl").write_text(
            '{"role": "API", "api_name": "A", "param_dict": {}}'), "result: must be an object"),
        (lambda f: [file.unlink() for file in f.glob("level-*/*.jsonl")], "holds no dialogues"),
    ],
)  # fmt: skip
def test_wrong_data_are_named(folder: Path, spoil: Any, message: str) -> None:
    spoil(folder)

    with pytest.raises(ConfigError, match=message):
        tasks(folder)


def test_an_unknown_subset_is_refused(folder: Path) -> None:
    with pytest.raises(TaskError, match=r"tasks\.subset: must be one of calls, replies"):
        tasks(folder, "plans")


# -- configs --------------------------------------------------------------------------------


def config_of(folder: Path, extra: str = '[environment]\nkind = "api_bank"\n') -> Any:
    file = folder.parent / "run.toml"
    file.write_text(
        '[agent]\nmodel = "openai/a"\nanswer = "whole"\n[tasks]\nkind = "api_bank"\n'
        f'path = "bank"\ntest = 3\n[scorer]\nkind = "api_bank"\n{extra}'
    )
    return load_config(file, environ={}, purpose="evaluate")


def test_the_environment_takes_its_data_from_the_tasks(folder: Path) -> None:
    config = config_of(folder)

    assert isinstance(make_environment(config), ApiBank)
    assert "AddAlarm" in world_tools(config)


def test_doctor_looks_at_the_data_before_anything_is_paid_for(folder: Path) -> None:
    config = config_of(folder)
    (folder / "init_database" / "Wiki.json").write_text("[")

    checks = {check.name: check for check in check_config(config)}

    assert checks["environment"].state == "missing"
    assert "Wiki.json: is not valid JSON" in checks["environment"].detail


# -- scores ---------------------------------------------------------------------------------


class Caller(Teller):
    """Makes one call, then says that it is done."""

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        super().__init__()
        self._wish = ToolCall(id="c", name=name, arguments=json.dumps(arguments))

    async def complete(self, request: Request) -> Reply:
        made = any(message.tool_calls for message in request.messages)
        wishes = () if made else (self._wish,)
        message = Message(role="assistant", content="done" if made else "", tool_calls=wishes)
        return Reply(message=message, finish="stop", usage=Usage(calls=1, prompt_tokens=1))


@pytest.mark.parametrize(
    ("name", "arguments", "value", "comment"),
    [
        ("AddAlarm", {"token": "tok1", "time": "2023-05-01 08:00:00"}, 1, "right result"),
        ("AddAlarm", {"token": "tok2", "time": "2023-05-01 08:00:00"}, 0, "arguments differ"),
        ("AddAlarm", {"token": "tok1", "time": "2023-05-01"}, 0, "does not match format"),
        ("AddAlarm", {"token": "tok1"}, 0, "was refused"),
        ("GetUserToken", {"username": "ann", "password": "pw"}, 0, "AddAlarm is right"),
        ("QueryAlarm", {"token": "tok1", "time": "2023-05-01 08:00:00"}, 0, "AddAlarm is right"),
    ],
)
async def test_the_first_call_of_an_episode_is_judged(
    folder: Path, bank: ApiBank, name: str, arguments: dict[str, Any], value: float, comment: str
) -> None:
    task = next(task for task in tasks(folder) if task.id == "alarm/2")
    store = MemoryStore()

    await evaluation(
        [task], store, environment=bank, scorer=score, model=Caller(name, arguments),
        agent=ToolCallingAgent(DialogueSettings(answer="whole")),
    ).wait()  # fmt: skip

    (episode,) = await episodes(store)
    assert episode.score is not None, episode.failure
    assert episode.score.value == value
    assert comment in episode.score.comment


async def test_a_task_or_episode_of_another_kind_fails_the_scorer_not_the_agent(
    folder: Path,
) -> None:
    job = Job(evaluation="e", parameters_version="v", task_id="t")
    call = FunctionCall(name="AddAlarm", arguments="{}", outcome="value", result="")
    episode = Episode(id="e", run_id="r", job=job, prompt="p", calls=(call,))

    with pytest.raises(ScorerError, match="no recorded API call"):
        await score(Task(id="t", prompt="p", target="4"), episode)
    with pytest.raises(ScorerError, match=r"was not run in \[environment\]"):
        await score(tasks(folder)[1], episode)


async def test_a_task_that_wants_an_unknown_api_is_a_broken_environment(bank: ApiBank) -> None:
    with pytest.raises(EnvironmentFailed, match="wants Fly"):
        async with open_world(
            bank, Task(id="t", prompt="", metadata={"apis": ["Fly"]}), seed=0, timeout_s=1.0
        ):
            pass


def test_a_checker_forgives_what_the_api_forgives_and_nothing_else() -> None:
    def result(output: Any = "success", **values: Any) -> dict[str, Any]:
        return {"api_name": "", "input": values, "output": output, "exception": None}

    def judge(name: str, given: dict[str, Any], gold: dict[str, Any]) -> bool:
        return correct({**given, "api_name": name}, gold, name)

    reminder = {"content": "call the bank now", "time": "2023-01-01 10:00:00"}
    assert judge(
        "AddReminder", result(**{**reminder, "content": "Call THE bank"}), result(**reminder)
    )
    assert not judge("AddReminder", result(**{**reminder, "content": "bank"}), result(**reminder))
    assert judge("QueryStock", result(1.0, stock_code=" aapl", date="2022-1-3"),
                 result(1.0, stock_code="AAPL", date="2022-01-03"))  # fmt: skip
    given = result("1", patient_name="A", date="2023-1-1", doctor_name="B")
    gold = result("2", patient_name="A", date="2023-01-01", doctor_name=" B")
    assert judge("AppointmentRegistration", given, gold)
    assert not judge("AddAlarm", result(time="x"), result(time="y"))
    assert not judge("AddAgenda", result(time="x"), result(time="x", content="a", location="b"))
    assert not correct(result(), result(), "AddAlarm")
