"""Asks the optimizer for a step's proposals: one, or several that are to race each other."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import partial

from .bus import EventBus
from .calls import ModelCalls
from .critic import Critic
from .optimizer import Optimizer, Situation, State
from .parameters import Parameters, apply
from .ports import Sandbox
from .together import together
from .tuning import Tuning
from .workbench import StepWorkbench


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A proposal, applied: the candidate, and what the optimizer remembers if it is the one."""

    candidate: Parameters
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposer:
    """An optimizer and what it works with."""

    optimizer: Optimizer
    model: str
    count: int  # proposals a step
    calls: ModelCalls
    sandbox: Sandbox
    bus: EventBus
    tuning: Tuning | None
    critic: Critic | None

    async def propose(
        self, incumbent: Parameters, state: State, situation: Situation
    ) -> Sequence[Proposed]:
        """Return the step's proposals in order. All start from the same state and situation.

        Each has numbered calls of its own, so that equal prompts are different draws; a seed, if
        the optimizer sends one, is raised by the proposal's number.

        Raises:
            BudgetExhausted, ModelError, SandboxError, StoreError: A system failed.
        """
        found: dict[int, Proposed] = {}

        async def one(number: int) -> None:
            proposal = await self.optimizer.propose(
                state, situation, self._workbench(situation.step, number)
            )
            found[number] = Proposed(
                candidate=apply(proposal.edits, incumbent), state=proposal.state
            )

        await together(*(partial(one, number) for number in range(self.count)))
        return [found[number] for number in range(self.count)]

    def _workbench(self, step: int, number: int) -> StepWorkbench:
        name = f"step/{step}/{number}" if number else f"step/{step}"
        return StepWorkbench(
            self.model,
            self.calls.scope(name, repeat=number),
            self.sandbox,
            self.bus,
            self.calls,
            step,
            self.tuning,
            number,
            self.critic,
        )


def new_ones(proposed: Sequence[Proposed], known: Set[str]) -> list[Proposed]:
    """Return the proposals whose version is not `known`, each version once."""
    found: dict[str, Proposed] = {}
    for one in proposed:
        if one.candidate.version not in known:
            found.setdefault(one.candidate.version, one)
    return list(found.values())
