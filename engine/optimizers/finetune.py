"""Learns the weights: fine-tunes the agent's model on the trajectories that were selected.

Source: arXiv 2411.19547, the update by training on a subset of good trajectories; how many of
them, and which hyperparameters, was not found there. Whether the new model is better is decided
like any other proposal: it is sampled, accepted or rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ..critic import Preference
from ..errors import ConfigError, CriticError
from ..events import EditProposed
from ..optimizer import Proposal, Situation, State, Workbench
from ..parameters import SetModel
from ..selection import PreferencePair, Selected, Strategy, trajectories_of
from ..together import together
from ..tuning_jobs import TuningPlan
from ..tuning_sets import TuningExample, TuningPair, TuningSet, example_of, pair_of

General = Callable[[int], Sequence[TuningExample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneSettings:
    """What is fine-tuned, and on how much."""

    model: str  # the agent's, provider/model; later steps go on from the incumbent's
    epochs: int = 3
    least: int = 10  # examples or pairs; with fewer nothing is proposed
    preferences: bool = False  # pairs instead of examples; the strategy must give some
    pairwise: bool = False  # of the pairs, only those that the critic confirms side by side
    from_start: bool = False  # True: always from the agent's first model, on the newest data
    seed: int = 0


class FinetuneOptimizer:
    """Proposes the model that comes of fine-tuning. Remembers nothing between steps.

    Args:
        strategy: Which of the batch's trajectories are learned from.
        general: Gives the general examples that so many own ones are mixed with.

    Raises:
        ConfigError: A number makes no sense.
    """

    def __init__(
        self, strategy: Strategy, settings: FinetuneSettings, *, general: General = lambda own: ()
    ) -> None:
        if settings.epochs < 1 or settings.least < 1:
            raise ConfigError("epochs and least must be at least 1", key="finetune")
        self._strategy = strategy
        self._settings = settings
        self._general = general

    def init(self) -> State:
        """Return the empty state."""
        return {}

    async def propose(self, state: State, situation: Situation, workbench: Workbench) -> Proposal:
        """Submit a job, wait for it, and propose what came of it.

        Raises:
            TuningFailed, ModelError, BudgetExhausted, ConfigError: As `Workbench.tune`.
        """
        settings = self._settings
        parameters = situation.batch.parameters
        selected = self._strategy.select(trajectories_of(situation.batch.episodes))
        data, left_out = await self._data(selected, workbench)
        what = "pairs" if settings.preferences else "examples"
        why = "nothing to learn in them" + (", or not confirmed" if settings.pairwise else "")
        told = f"{len(data)} {what}, {left_out} left out with {why}"
        if len(data) < settings.least:
            return Proposal(
                edits=(), state=state, note=f"{told}: fewer than the {settings.least} it takes"
            )
        if data.examples:
            general = tuple(self._general(len(data.examples)))
            data = TuningSet(examples=(*data.examples, *general))
        first = settings.model
        plan = TuningPlan(
            base=first if settings.from_start else parameters.model or first,
            data=data,
            epochs=settings.epochs,
            # another one in each step: what was rolled back is not proposed again as it was
            seed=settings.seed * 1_000 + situation.step,
        )
        model = await workbench.tune(plan)
        edit = SetModel(model=model)
        await workbench.publish(EditProposed(run_id="", step=situation.step, action=0, edit=edit))
        return Proposal(edits=(edit,), state=state, note=f"fine-tuned {plan.base} on {told}")

    async def _data(self, selected: Selected, workbench: Workbench) -> tuple[TuningSet, int]:
        """Return the data, and how many of the selected are left out of them."""
        if self._settings.preferences:
            pairs: list[TuningPair] = []
            for chosen in await self._confirmed(selected.pairs, workbench):
                better, worse = chosen.better.episode, chosen.worse.episode
                pair = pair_of(better, worse, await workbench.offered(better))
                pairs += [pair] if pair else []
            return TuningSet(pairs=tuple(pairs)), len(selected.pairs) - len(pairs)
        examples: list[TuningExample] = []
        for trajectory in selected.chosen:
            episode = trajectory.episode
            example = example_of(episode, await workbench.offered(episode))
            examples += [example] if example else []
        return TuningSet(examples=tuple(examples)), len(selected.chosen) - len(examples)

    async def _confirmed(
        self, pairs: Sequence[PreferencePair], workbench: Workbench
    ) -> Sequence[PreferencePair]:
        """Return the pairs whose better one is also preferred side by side, in both orders.

        A score is given to each trajectory alone: two of them may differ by a vote's whim. What
        the critic cannot compare in the agreed form is not confirmed.
        """
        if not self._settings.pairwise:
            return pairs
        found: dict[int, Preference] = {}

        async def ask(at: int) -> None:
            pair = pairs[at]
            try:
                found[at] = await workbench.prefer(pair.better.episode, pair.worse.episode)
            except CriticError as error:
                found[at] = Preference(better=None, reason=str(error))

        await together(*(partial(ask, at) for at in range(len(pairs))))
        return [pair for at, pair in enumerate(pairs) if found[at].better == "a"]
