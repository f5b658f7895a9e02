"""A small world for simulations: a provider with seeded faults and a ledger, and a training."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import anyio
from funcforge.engine.acceptances import policy
from funcforge.engine.budget import Caps
from funcforge.engine.calls import Retry
from funcforge.engine.checkpoint import CallRecord, RunRecord
from funcforge.engine.errors import TransientModelError
from funcforge.engine.events import EpisodeFinished, Event, StepDecided
from funcforge.engine.messages import Message, Reply, Request
from funcforge.engine.parameters import AddFunction
from funcforge.engine.ports import ModelFacts
from funcforge.engine.run import Outcome, Parts, Run
from funcforge.engine.stopping import Stopping
from funcforge.engine.tasks import Splits
from funcforge.engine.trainer import Trained
from funcforge.engine.training import Training
from funcforge.engine.training_settings import TrainingSettings
from funcforge.engine.usage import Usage
from funcforge.engine.workspace import AgentSettings
from funcforge.storage.memory import MemoryStore

from tests.doubles import ScriptedOptimizer, TableSandbox, exact, function, skilled_agent, tasks
from tests.simulation.loop import VirtualClock, VirtualLoop

PROMPT_TOKENS, REPLY_TOKENS = 10, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What may differ between two simulated runs. The outcome must not."""

    seed: int
    in_flight: int
    fault_share: float  # of the attempts
    latency_s: tuple[float, float]
    train: int
    test: int
    test_beside: bool

    @classmethod
    def draw(cls, seed: int) -> Scenario:
        """Draw one by seed."""
        rng = random.Random(seed)
        low_s = rng.choice([0.0, 0.01, 0.2])
        return cls(
            seed=seed,
            in_flight=rng.choice([1, 2, 8, 64]),
            fault_share=rng.choice([0.0, 0.0, 0.1, 0.3]),
            latency_s=(low_s, low_s + rng.choice([0.0, 0.1, 5.0])),
            train=rng.choice([3, 6, 12]),
            test=rng.choice([0, 6]),
            test_beside=rng.choice([False, True]),
        )


@dataclass
class Provider:
    """Outside of the process: it survives kills, and remembers every request it got."""

    scenario: Scenario
    answered: Counter[str] = field(default_factory=Counter)  # request hash -> answers
    attempts: Counter[str] = field(default_factory=Counter)
    billed: Usage = field(default_factory=Usage)
    requests: int = 0
    in_flight: int = 0
    peak: int = 0

    def describe(self, model: str) -> ModelFacts:
        return ModelFacts(
            context_tokens=400, max_output_tokens=100, prompt_pusd=3, completion_pusd=7
        )

    async def complete(self, request: Request) -> Reply:
        key = request.hash
        self.attempts[key] += 1
        self.requests += 1
        rng = random.Random(f"{self.scenario.seed}/{key}/{self.attempts[key]}")
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await anyio.sleep(rng.uniform(*self.scenario.latency_s))
            if rng.random() < self.scenario.fault_share:
                raise self._fault(rng)
        finally:
            self.in_flight -= 1
        self.answered[key] += 1
        usage = Usage(
            calls=1,
            prompt_tokens=PROMPT_TOKENS,
            completion_tokens=REPLY_TOKENS,
            cost_pusd=PROMPT_TOKENS * 3 + REPLY_TOKENS * 7,
        )
        self.billed += usage
        text = request.messages[-1].content
        return Reply(message=Message(role="assistant", content=text), finish="stop", usage=usage)

    def _fault(self, rng: random.Random) -> TransientModelError:
        kind = rng.choice(["rate_limit", "overloaded", "timeout", "connection", "server_error"])
        retry_after_s = rng.choice([None, None, 2.0]) if kind == "rate_limit" else None
        return TransientModelError(
            kind,
            kind=kind,
            billed=kind == "timeout",
            retry_after_s=retry_after_s,  # type: ignore[arg-type]
        )


class Watcher:
    """Checks the invariants that every event can break."""

    def __init__(self, store: MemoryStore, provider: Provider, caps: Caps) -> None:
        self.decisions: list[tuple[int, str, str]] = []
        self._store = store
        self._provider = provider
        self._caps = caps

    async def handle(self, event: Event) -> None:
        caps, provider = self._caps, self._provider
        if caps.calls is not None:
            assert provider.requests <= caps.calls, "invariant 2: more requests than the cap"
        if caps.tokens is not None:
            assert provider.billed.tokens <= caps.tokens, "invariant 2: more tokens than the cap"
        if isinstance(event, EpisodeFinished):
            episode = event.episode
            assert (episode.score is None) != (episode.failure is None), "invariant 1"
        if isinstance(event, StepDecided):
            self.decisions.append((event.step, event.outcome, event.candidate.version))


class SlowJournal(MemoryStore):
    """Takes the time that a disk takes to commit; a kill may come in it."""

    async def commit_call(self, record: CallRecord) -> None:
        await anyio.sleep(0.001)
        await super().commit_call(record)


KINDS = "abc"
SCRIPT = [
    [AddFunction(function=function("solve_a"))],
    [AddFunction(function=function("useless"))],
    [AddFunction(function=function(f"solve_{kind}")) for kind in "bc"],
]


def make_run(
    scenario: Scenario,
    loop: VirtualLoop,
    store: MemoryStore,
    provider: Provider,
    *,
    caps: Caps | None = None,
    resumed: bool = False,
) -> tuple[Run[Trained], Watcher]:
    """Build the scenario's training over a store and a provider that outlive it."""
    clock = VirtualClock(loop)
    caps = caps or Caps()
    parts = Parts(
        model=provider,
        store=store,
        sandbox=TableSandbox(),
        scorer=exact,
        agent=skilled_agent,
        agent_settings=AgentSettings(model="sim/agent", python=False),
        caps=caps,
        retry=Retry(attempts=8, first_wait_s=0.1, longest_wait_s=5.0, call_timeout_s=30.0),
        in_flight=scenario.in_flight,
        max_failed_share=0.2,
        clock=clock,
    )
    training = Training(
        settings=TrainingSettings(
            optimizer_model="sim/optimizer",
            stopping=Stopping(epochs=5, patience=1),
            test_beside=scenario.test_beside,
        ),
        splits=Splits(
            train=tasks(scenario.train, KINDS),
            test=tasks(scenario.test, KINDS) if scenario.test else None,
        ),
        optimizer=ScriptedOptimizer(SCRIPT),
        acceptance=policy("paper", {}),
    )
    watcher = Watcher(store, provider, caps)
    record = RunRecord(id="run", kind="train", name="simulation", config={}, seed=0)
    run = Run(record, parts, training.work(), sinks=[watcher], resumed=resumed)
    return run, watcher


def facts_of(outcome: Outcome[Trained]) -> Any:
    """What must be the same in every undisturbed or resumed run of the same world."""
    assert outcome.value is not None, outcome.message
    return (
        outcome.status,
        outcome.stopped_by,
        outcome.value.parameters.version,
        outcome.value.progress.to_json(),
        outcome.usage,
    )
