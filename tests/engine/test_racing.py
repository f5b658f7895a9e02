"""Several proposals of one step race each other before one of them is decided on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from funcforge.engine.acceptance import Evidence, Verdict, Wave
from funcforge.engine.acceptances import policy
from funcforge.engine.events import EditProposed, EpisodeFinished, Event, StepDecided
from funcforge.engine.messages import Message, Request
from funcforge.engine.optimizer import Proposal, Situation, State, Workbench
from funcforge.engine.parameters import AddFunction, Edit
from funcforge.engine.racing import FIRST_REPEAT, better_half
from funcforge.engine.run import Outcome
from funcforge.engine.stopping import Stopping
from funcforge.engine.tasks import Splits
from funcforge.engine.trainer import Trained
from funcforge.engine.training_settings import TrainingSettings
from funcforge.storage.memory import MemoryStore
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles import ProgrammedModel, function, tasks
from tests.engine.runs import parts, training_run

A, B, C = (AddFunction(function=function(f"solve_{kind}")) for kind in "abc")
USELESS = [AddFunction(function=function(f"useless_{number}")) for number in range(3)]


class Sampler:
    """Proposes what stands in its script under the seed that its model was asked with."""

    def __init__(self, script: Sequence[Sequence[Sequence[Edit]]]) -> None:
        self.seen: list[Situation] = []
        self._script = script

    def init(self) -> State:
        return {"chosen": []}

    async def propose(self, state: State, situation: Situation, workbench: Workbench) -> Proposal:
        self.seen.append(situation)
        request = Request(
            model="test/optimizer",
            messages=(Message(role="user", content=f"step {situation.step}"),),
            max_tokens=100,
            seed=0,
        )
        number = int((await workbench.complete(request)).message.content)
        edits = tuple(self._script[situation.step - 1][number])
        for action, edit in enumerate(edits):
            await workbench.publish(
                EditProposed(run_id="", step=situation.step, action=action, edit=edit)
            )
        return Proposal(edits=edits, state={"chosen": [*state["chosen"], number]})


async def _seed_or_task(request: Request) -> str:
    return request.messages[-1].content if request.seed is None else str(request.seed)


@dataclass
class Watched:
    """A policy that keeps the evidence it decided on."""

    policy: Any
    decided: list[Evidence] = field(default_factory=list)

    def judge(self, evidence: Evidence) -> Wave | Verdict:
        answer: Wave | Verdict = self.policy.judge(evidence)
        if isinstance(answer, Verdict):
            self.decided.append(evidence)
        return answer


class Recorder:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def handle(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class Ran:
    outcome: Outcome[Trained]
    optimizer: Sampler
    policy: Watched
    recorder: Recorder
    store: MemoryStore

    @property
    def names(self) -> list[str]:
        assert self.outcome.value is not None, self.outcome
        return [one.name for one in self.outcome.value.parameters.functions]


def settings_of(script: Sequence[Any]) -> TrainingSettings:
    return TrainingSettings(
        optimizer_model="test/optimizer",
        stopping=Stopping(steps=len(script)),
        candidates=len(script[0]),
        first_lap=3,
    )


async def train(script: Sequence[Sequence[Sequence[Edit]]], in_flight: int = 64) -> Ran:
    optimizer, recorder, store = Sampler(script), Recorder(), MemoryStore()
    watched = Watched(policy("paper", {}))
    outcome = await training_run(
        Splits(train=tasks(12), test=tasks(9)),
        optimizer,
        parts=parts(store, model=ProgrammedModel(_seed_or_task), in_flight=in_flight),
        acceptance=watched,
        settings=settings_of(script),
        sinks=[recorder],
    ).wait()
    return Ran(outcome, optimizer, watched, recorder, store)


async def test_the_best_of_four_proposals_is_the_one_decided_on() -> None:
    ran = await train([[[USELESS[0]], [A], [A, B], [USELESS[1]]], [[C], [], [C], []]])

    first, second = ran.recorder.of(StepDecided)
    assert ran.names == ["solve_a", "solve_b", "solve_c"]
    assert first.details["race"]["winner"] == 2
    # laps of 3 for four and of 6 for two; the second step has one new proposal, and no race
    assert first.details["race"]["episodes"] == 4 * 3 + 2 * 6
    assert first.episodes == 12 + first.details["race"]["episodes"]
    assert first.usage.calls == first.episodes
    assert "race" not in second.details
    assert ran.outcome.value is not None
    assert ran.outcome.value.progress.optimizer == {"chosen": [2, 0]}


async def test_the_winner_is_decided_on_by_episodes_of_its_own() -> None:
    ran = await train([[[A], [USELESS[0]]]])

    episodes = [one.episode.job for one in ran.recorder.of(EpisodeFinished)]
    racing = [job for job in episodes if "/race" in job.evaluation]
    others = [job for job in episodes if "/race" not in job.evaluation]
    (evidence,) = ran.policy.decided
    assert len(racing) == 2 * 3
    assert all(job.repeat >= FIRST_REPEAT for job in racing)
    assert all(job.repeat < FIRST_REPEAT for job in others)
    assert all(len(scores) == 1 for scores in evidence.candidate.values())


async def test_those_that_lose_a_race_are_told_to_the_optimizer() -> None:
    ran = await train([[[USELESS[0]], [USELESS[1]], [USELESS[2]]], [[A], [USELESS[1]], []]])

    told = [one.parameters.functions[0].name for one in ran.optimizer.seen[-1].failures]
    assert sorted(told) == ["useless_0", "useless_1", "useless_2"]
    assert ran.names == ["solve_a"]
    assert "race" not in ran.recorder.of(StepDecided)[1].details  # a known loser does not race


async def test_each_proposal_has_its_own_calls_and_actions() -> None:
    ran = await train([[[A, USELESS[0]], [B]]])

    rows = await ran.store.dump_rows("run")
    keys = [row["key"] for row in rows["events"] if row["key"].startswith("EditProposed")]
    scopes = {row["scope"] for row in rows["calls"] if row["scope"].startswith("step/")}
    assert sorted(keys) == ["EditProposed/1/0/0", "EditProposed/1/0/1", "EditProposed/1/1/0"]
    assert scopes == {"step/1", "step/1/1"}


async def test_neither_the_winner_nor_a_row_depends_on_concurrency() -> None:
    script = [[[USELESS[0]], [A], [], [USELESS[1]]], [[C], [B, C], [USELESS[2]], []]]

    one, many = await train(script, in_flight=1), await train(script, in_flight=64)

    assert one.names == many.names
    assert await one.store.dump_rows("run") == await many.store.dump_rows("run")


async def test_a_race_that_was_interrupted_ends_as_if_it_had_not_been() -> None:
    script = [[[USELESS[0]], [A], [], [USELESS[1]]], [[C], [B, C], [USELESS[2]], []]]
    whole = await train(script)
    store, optimizer = MemoryStore(), Sampler(script)
    shared: Any = {
        "parts": parts(store, model=ProgrammedModel(_seed_or_task)),
        "acceptance": policy("paper", {}),
        "settings": settings_of(script),
    }
    splits = Splits(train=tasks(12), test=tasks(9))

    run = training_run(splits, optimizer, sinks=[_StopInRace(lambda: run.stop())], **shared)
    stopped = await run.wait()
    resumed = await training_run(splits, optimizer, resumed=True, **shared).wait()

    assert stopped.status == "interrupted"
    assert resumed.value is not None
    assert whole.outcome.value is not None
    assert resumed.value.parameters == whole.outcome.value.parameters
    assert resumed.value.progress == whole.outcome.value.progress
    assert resumed.usage == whole.outcome.usage  # nothing was paid for twice


class _StopInRace:
    """Stops the run when the first episode of the second step's race has ended."""

    def __init__(self, stop: Any) -> None:
        self.stop = stop

    async def handle(self, event: Event) -> None:
        if isinstance(event, EpisodeFinished):
            evaluation = event.episode.job.evaluation
            if evaluation.startswith("train/2/race"):
                self.stop()


@given(
    totals=st.lists(st.integers(0, 5), min_size=2, max_size=9),
    failed=st.sets(st.integers(0, 4), max_size=4),
)
def test_the_better_half_goes_on_and_what_failed_for_one_counts_for_none(
    totals: list[int], failed: set[int]
) -> None:
    live = tuple(range(len(totals)))
    scores: list[dict[str, tuple[float | None, ...]]] = [
        {f"t{task}": (float(task < total),) for task in range(5)} for total in totals
    ]
    scores[0] = {t: (None,) if int(t[1:]) in failed else s for t, s in scores[0].items()}

    kept = better_half(scores, live)

    reached = [sum(task < total for task in range(5) if task not in failed) for total in totals]
    ranked = sorted(live, key=lambda place: (-reached[place], place))
    assert kept == tuple(sorted(ranked[: (len(live) + 1) // 2]))


@pytest.mark.parametrize("kind", ["demonstrations", "finetune"])
def test_an_optimizer_that_would_propose_the_same_again_is_refused(kind: str) -> None:
    from funcforge.adapters.config import Config
    from funcforge.adapters.parts import training_settings
    from funcforge.engine.errors import ConfigError

    config = Config.model_validate(
        {
            "agent": {"model": "embedded/apprentice"},
            "optimizer": {"kind": kind},
            "tasks": {"path": "tasks.jsonl", "train": 4},
            "training": {"candidates": 2},
        }
    )

    with pytest.raises(ConfigError, match=r"training\.candidates"):
        training_settings(config)
