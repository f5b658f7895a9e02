"""Episodes in a world of their own: isolated, in order, in time, and the same when run again."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from funcforge.engine.agents.settings import DialogueSettings
from funcforge.engine.agents.tool_calling import ToolCallingAgent
from funcforge.engine.budget import Caps
from funcforge.engine.checkpoint import RunRecord
from funcforge.engine.environment import environment_seed, open_world
from funcforge.engine.episode import Episode, Score
from funcforge.engine.errors import BudgetExhausted
from funcforge.engine.messages import Message, Reply, Request, ToolCall
from funcforge.engine.parameters import Parameters
from funcforge.engine.ports import ModelFacts
from funcforge.engine.run import Run
from funcforge.engine.tasks import ListTaskSet, Task
from funcforge.engine.training import Scoring
from funcforge.engine.usage import Usage
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.database import open_store
from funcforge.storage.memory import MemoryStore

from tests.doubles import function
from tests.engine.runs import parts
from tests.worlds import Till, TillSession

Calls = list[tuple[str, dict[str, Any]]]


class Teller:
    """A model that makes the calls its task spells out, one list of them a turn, then answers."""

    def __init__(self, jitter: int = 0) -> None:
        self.asked = 0
        self._jitter = random.Random(jitter)

    def describe(self, model: str) -> ModelFacts:
        return ModelFacts(context_tokens=100_000, max_output_tokens=1_000)

    async def complete(self, request: Request) -> Reply:
        self.asked += 1
        for _ in range(self._jitter.randrange(4)):
            await anyio.lowlevel.checkpoint()
        prompts = [m.content for m in request.messages if m.role == "user"]
        turns: list[Calls] = json.loads(prompts[0])
        done = sum(bool(message.tool_calls) for message in request.messages)
        if done >= len(turns):
            last = [m.content for m in request.messages if m.role == "tool"]
            message = Message(role="assistant", content=last[-1] if last else "nothing")
        else:
            wishes = tuple(
                ToolCall(id=f"c{done}_{n}", name=name, arguments=json.dumps(arguments))
                for n, (name, arguments) in enumerate(turns[done])
            )
            message = Message(role="assistant", tool_calls=wishes)
        usage = Usage(calls=1, prompt_tokens=10, completion_tokens=5)
        return Reply(message=message, finish="stop", usage=usage)


def turns(*calls: Calls) -> str:
    return json.dumps(calls)


BUSY = turns(
    [("deposit", {"amount": 5}), ("withdraw", {"amount": 1}), ("deposit", {"amount": 2})],
    [("withdraw", {"amount": 1_000})],
    [("balance", {})],
)


async def by_state(task: Task, episode: Episode) -> Score:
    """The share of the till's operations that went through."""
    return Score(value=min(1.0, len(episode.state["log"]) / 4))


def evaluation(tasks: list[Task], store: Any, *, repeats: int = 1, **changes: Any) -> Run[Any]:
    run = {key: changes.pop(key) for key in ("resumed", "offline") if key in changes}
    usual: dict[str, Any] = {
        "model": Teller(),
        "agent": ToolCallingAgent(DialogueSettings(answer="whole")),
        "agent_settings": AgentSettings(model="test/agent", python=False),
        "scorer": by_state,
        "environment": Till(),
        "environment_timeout_s": 5.0,
        "max_failed_share": 1.0,
    }
    parameters = changes.pop("parameters", Parameters())
    made = parts(store, **(usual | changes))
    scoring = Scoring(tasks=ListTaskSet(tasks), parameters=parameters, repeats=repeats)
    record = RunRecord(id="run", kind="evaluate", name="test", config={}, seed=3)
    return Run(record, made, scoring.work(), **run)


async def episodes(store: Any) -> list[Episode]:
    return [episode async for episode in store.episodes("run", "test/0")]


async def test_a_world_is_fresh_for_each_episode_and_drawn_by_task_and_repeat() -> None:
    till, store = Till(), MemoryStore()
    tasks = [Task(id=f"t{n}", prompt=BUSY, target="secret") for n in range(3)]

    await evaluation(tasks, store, repeats=2, environment=till).wait()

    found = await episodes(store)
    assert [episode.score for episode in found] == [Score(value=1.0)] * 6
    for episode in found:
        seed = environment_seed(3, episode.job.task_id, episode.job.repeat)
        first = random.Random(seed).randrange(10, 100)
        log = ["deposit 5", "withdraw 1", "deposit 2", "balance 0"]
        assert episode.state == {"balance": first + 6, "log": log}
    assert len({seed for _, _, seed in till.opened}) == 6
    assert {target for _, target, _ in till.opened} == {None}
    assert till.open_now == 0


async def test_what_the_agent_did_wrong_is_a_result_for_its_model() -> None:
    store = MemoryStore()
    wrong = turns([("withdraw", {"amount": 10**6}), ("withdraw", {"amount": "all"}), ("no", {})])

    await evaluation([Task(id="t", prompt=wrong)], store).wait()

    (episode,) = await episodes(store)
    assert [call.outcome for call in episode.calls] == ["exception", "refused", "refused"]
    assert episode.calls[0].result.startswith("Error: there are only ")
    assert episode.score is not None


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ("snare", "the environment broke in snare: RuntimeError('the drawer is stuck')"),
        ("bog", "the environment hangs: bog took more than 0.05 s"),
        ("smoke", "smoke failed: smoke"),
        ("mirror", "the environment broke in mirror: TypeError"),
        ("void", "void gave None, which is no CallResult"),
    ],
)
async def test_an_environment_that_breaks_fails_the_episode_and_scores_nothing(
    tool: str, message: str
) -> None:
    till, store = Till(), MemoryStore()
    model = Teller()
    tasks = [Task(id="bad", prompt=turns([(tool, {})])), Task(id="good", prompt=BUSY)]

    outcome = await evaluation(
        tasks, store, environment=till, model=model, environment_timeout_s=0.05
    ).wait()

    bad, good = await episodes(store)
    assert bad.score is None
    assert bad.failure is not None
    assert (bad.failure.kind, bad.failure.message[: len(message)]) == ("environment", message)
    assert good.score == Score(value=1.0)
    assert outcome.value.summary.failed == 1
    assert model.asked == 1 + 4  # the second attempt at "bad" is answered from what was paid for
    assert till.open_now == 0


class Odd:
    """Breaks a rule of opening, closing, tools or snapshot."""

    def __init__(self, how: str) -> None:
        self._how = how

    @asynccontextmanager
    async def open(self, task: Task, *, seed: int) -> AsyncGenerator[Any]:
        if self._how == "open":
            raise OSError("no data")
        if self._how == "open slowly":
            await anyio.sleep_forever()
        session: Any = TillSession(20, pause=anyio.lowlevel.checkpoint)
        if self._how == "tools":
            session.tools = lambda: (1, 2)
        if self._how == "twins":
            session.tools = lambda: TillSession.tools(session) * 2
        if self._how == "state":
            session.snapshot = lambda: {"at": {1, 2}}
        if self._how == "long state":
            session.snapshot = lambda: "x" * 1_000_000
        try:
            yield session
        except BudgetExhausted:
            if self._how != "swallow":
                raise
        if self._how == "close":
            raise OSError("not saved")
        if self._how == "close slowly":
            await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("open", "broke in opening or closing: OSError('no data')"),
        ("open slowly", "hangs: opening or closing it took more than 0.05 s"),
        ("tools", "tools() gave 1, which is no Tool"),
        ("twins", "tools() gave two tools named 'deposit'"),
        ("state", "broke in snapshot(): TypeError"),
        ("long state", "snapshot() gave 1,000,002 characters of JSON; at most 256,000"),
        ("close", "broke in opening or closing: OSError('not saved')"),
        ("close slowly", "hangs: opening or closing it took more than 0.05 s"),
    ],
)
async def test_an_environment_that_breaks_its_rules_is_named(how: str, message: str) -> None:
    store = MemoryStore()

    await evaluation(
        [Task(id="t", prompt=BUSY)], store, environment=Odd(how), environment_timeout_s=0.05
    ).wait()

    (episode,) = await episodes(store)
    assert episode.failure is not None
    assert episode.failure.kind == "environment"
    assert message in episode.failure.message


async def test_an_environment_cannot_swallow_what_ends_the_run() -> None:
    with pytest.raises(BudgetExhausted):
        async with open_world(Odd("swallow"), Task(id="t", prompt=""), seed=0, timeout_s=1.0):
            raise BudgetExhausted("enough", cap="calls", limit=1)


async def test_leaving_a_world_by_cancellation_closes_it() -> None:
    till = Till()

    with anyio.move_on_after(0.05) as scope:
        async with open_world(till, Task(id="t", prompt=""), seed=0, timeout_s=1.0):
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert till.open_now == 0


async def test_calls_at_once_are_made_one_by_one_in_their_order() -> None:
    async with open_world(Till(7), Task(id="t", prompt=""), seed=0, timeout_s=1.0) as world:
        before = world.state()["balance"]
        deposit = next(tool for tool in world.tools() if tool.tool.name == "deposit")
        async with anyio.create_task_group() as group:
            for amount in range(20):
                group.start_soon(deposit.call, {"amount": amount})
        after = world.state()

    assert after["balance"] == before + sum(range(20))
    assert after["log"] == [f"deposit {amount}" for amount in range(20)]


async def test_a_learned_function_does_not_take_the_place_of_a_tool_of_the_world() -> None:
    store = MemoryStore()
    learned = Parameters(functions=(function("deposit"), function("other")))

    await evaluation([Task(id="t", prompt=BUSY)], store, parameters=learned).wait()

    (episode,) = await episodes(store)
    assert episode.score == Score(value=1.0)
    assert {call.function_hash for call in episode.calls} == {None}


# -- the same again ---------------------------------------------------------------------------


CALM = [Task(id=f"t{n:02d}", prompt=BUSY) for n in range(12)]


@pytest.fixture
async def undisturbed() -> dict[str, list[dict[str, Any]]]:
    store = MemoryStore()
    await evaluation(CALM, store, repeats=2, in_flight=1).wait()
    return await store.dump_rows("run")


@pytest.mark.parametrize("in_flight", [3, 256])
async def test_rows_do_not_depend_on_how_many_worlds_are_open(
    undisturbed: dict[str, list[dict[str, Any]]], tmp_path: Path, in_flight: int
) -> None:
    async with open_store(tmp_path / "runs.db") as store:
        await evaluation(
            CALM, store, repeats=2, in_flight=in_flight,
            model=Teller(in_flight), environment=Till(in_flight),
        ).wait()  # fmt: skip
        rows = await store.dump_rows("run")

    assert rows == undisturbed
    assert len(rows["episodes"]) == 24


async def test_an_episode_stopped_in_its_middle_is_driven_there_again_and_ends_the_same(
    undisturbed: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    asked = 0
    statuses = []
    for number, calls in enumerate((2, 7, 30, 61, 1_000)):  # an episode makes four calls
        async with open_store(tmp_path / "runs.db") as store:  # each time as another process
            model = Teller(number)
            outcome = await evaluation(
                CALM, store, repeats=2, in_flight=5, model=model, environment=Till(number),
                caps=Caps(calls=calls), resumed=number > 0,
            ).wait()  # fmt: skip
            asked += model.asked
            statuses.append(outcome.status)
            rows = await store.dump_rows("run")

    assert statuses == ["paused"] * 4 + ["done"]
    assert rows == undisturbed
    assert asked == 24 * 4  # nothing was asked twice


async def test_a_replay_drives_the_worlds_again_without_a_model(
    undisturbed: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    model = Teller()
    async with open_store(tmp_path / "runs.db") as store:
        first = await evaluation(CALM, store, repeats=2).wait()
        again = await evaluation(
            CALM, store, repeats=2, model=model, environment=Till(5), resumed=True, offline=True
        ).wait()

    assert again.status == "done"
    assert again.value == first.value
    assert model.asked == 0
