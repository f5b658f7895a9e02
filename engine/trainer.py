"""The training loop: evaluate, propose, accept or roll back, stop, checkpoint.

Source: AgentOptimizer, ICML 2024, arXiv 2402.11359, Algorithm 2. This is the one file that sees
the whole flow:

    TaskSet -> Scheduler -> Episode -> EventBus -> Batch -> Optimizer -> Edits -> Parameters v+1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .acceptance import Acceptance, Evidence
from .bus import EventBus
from .calls import ModelCalls
from .checkpoint import Checkpoint
from .critic import Critic
from .deciding import decided
from .errors import ConfigError, StoreError
from .evaluation import Evaluation, Evaluator, summarise
from .events import SealedTestCompared, StepDecided, StepStarted
from .history import History
from .optimizer import FailedAttempt, Optimizer, Situation
from .parameters import Parameters
from .ports import RunStore, Sandbox
from .progress import Progress, Rejected, Side
from .proposing import Proposed, Proposer, new_ones
from .racing import NO_RACE, Raced, race
from .sealed_test import BEFORE, after_name, beside_step, compare_sealed_test, may_end_with_it
from .splits import Due, score_all, score_splits
from .tasks import Splits, TaskSet
from .training_settings import TrainingSettings
from .trial import Trial, try_candidate
from .tuning import Tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training returns."""

    parameters: Parameters  # the best accepted ones; never a proposal that was not evaluated
    progress: Progress
    before: Side
    after: Side
    # the sealed test before and after, paired; None: none, or nothing was accepted
    sealed_test: SealedTestCompared | None = None


class Trainer:
    """Trains parameters on task sets. All state is in `Progress`, all effects go through ports.

    Args:
        initial: The parameters to begin with; empty for the paper's F0.
        store: Checkpoints go there and come from there.
    """

    def __init__(
        self,
        *,
        settings: TrainingSettings,
        splits: Splits,
        initial: Parameters,
        optimizer: Optimizer,
        acceptance: Acceptance,
        evaluator: Evaluator,
        calls: ModelCalls,
        sandbox: Sandbox,
        bus: EventBus,
        store: RunStore,
        tuning: Tuning | None = None,
        critic: Critic | None = None,
    ) -> None:
        train = splits.train
        if train is None or len(train) == 0:
            raise ConfigError("a training needs training tasks", key="tasks.train")
        deciding = splits.validation if settings.accept_on == "validation" else train
        if deciding is None:
            raise ConfigError(
                "accept_on is 'validation', but there are no validation tasks",
                key="training.accept_on",
            )
        self._train: TaskSet = train
        self._deciding: TaskSet = deciding
        self._splits = splits
        self._settings = settings
        self._initial = initial
        self._optimizer = optimizer
        self._proposer = Proposer(
            optimizer=optimizer,
            model=settings.optimizer_model,
            count=settings.candidates,
            calls=calls,
            sandbox=sandbox,
            bus=bus,
            tuning=tuning,
            critic=critic,
        )
        self._acceptance = acceptance
        self._evaluator = evaluator
        self._bus = bus
        self._store = store
        self._known: dict[str, Parameters] = {initial.version: initial}
        self._history = History(
            train,
            seed=settings.seed,
            batch_size=settings.batch_size,
            samples=settings.samples,
            targets=settings.feedback == "target",
            comments=settings.feedback != "score",
        )

    async def train(self) -> Trained:
        """Run the whole training, or the rest of it.

        Raises:
            BudgetExhausted, Interrupted: Stopped on the way; resumable.
            EvaluationVoid, ModelError, SandboxError, StoreError: Stopped by a failed system;
                resumable once the cause is gone.
        """
        progress = await self._restore() or await self._begin()
        while not progress.stopped_by:
            stopped_by = self._settings.stopping.reason(
                accepted=progress.accepted,
                rejected=progress.rejected,
                step=progress.step,
                score=self._full_score(progress),
            )
            if stopped_by is None:
                # a step that proposes nothing evaluates nothing: nobody else would look
                self._evaluator.check_going()
                progress = await self._step_or_more(progress)
            else:
                accepted = progress.accepted
                if progress.head:
                    progress = await self._confirm(progress)
                # what was proven after all did help: patience begins anew
                if stopped_by != "patience" or progress.accepted == accepted:
                    progress = replace(progress, stopped_by=stopped_by)
            await self._save(progress)
        progress = await self._finish(progress)
        compared = await self._compare(progress)
        await self._save(progress)
        return Trained(
            parameters=await self._parameters(progress.incumbent),
            progress=progress,
            before=progress.side("before"),
            after=progress.side("after"),
            sealed_test=compared,
        )

    # -- before the first step ------------------------------------------------------------

    async def _begin(self) -> Progress:
        """Score the initial parameters on every split, all at once."""
        version, settings = self._initial.version, self._settings
        progress = Progress(incumbent=version, initial=version, optimizer=self._optimizer.init())
        found = await self._score_splits(progress, "0", BEFORE, settings.samples)
        for split, evaluation in sorted(found.items()):
            progress = progress.with_summary(f"before/{split}", evaluation.summary)
            progress = progress.with_summary(f"after/{split}", evaluation.summary)
        if settings.accept_on in found:
            progress = replace(progress, scores=found[settings.accept_on].scores)
        if "train" in found:
            progress = self._history.take(progress, found["train"])
        await self._save(progress)
        return progress

    async def _restore(self) -> Progress | None:
        checkpoint = await self._store.load_checkpoint(self._bus.run_id)
        if checkpoint is None:
            return None
        progress = Progress.from_json(checkpoint.state)
        if progress.initial != self._initial.version:
            raise ConfigError(
                "the run began with other parameters, so it cannot go on with these",
                key="parameters",
            )
        await self._history.restore(self._store, self._bus.run_id, progress)
        return progress

    # -- one step -------------------------------------------------------------------------

    async def _step_or_more(self, progress: Progress) -> Progress:
        """Take a step; beside one that may well be the last, score the sealed test."""
        settings, tasks = self._settings, self._splits.test
        last = settings.test_beside and may_end_with_it(progress, settings.stopping)
        if tasks is None or not last:
            return await self._step(progress)
        incumbent = await self._parameters(progress.incumbent)
        repeats = settings.test_repeats or settings.repeats
        test = partial(
            score_all, self._evaluator, after_name(progress), incumbent, tasks, repeats, keep=False
        )
        return await beside_step(progress, self._evaluator, partial(self._step, progress), test)

    async def _step(self, progress: Progress) -> Progress:
        """Propose, evaluate, accept or roll back."""
        step = progress.step + 1
        incumbent = await self._parameters(progress.building)
        await self._bus.publish(
            StepStarted(run_id="", step=step, incumbent_version=incumbent.version)
        )
        ids = self._history.sample(step)
        decides = self._settings.accept_on == "train"
        read = self._history.few(progress, ids) if decides and progress.head else ids
        progress = await self._history.complete(
            progress, self._evaluator, incumbent, read, decides=decides
        )
        proposed = await self._propose(progress, incumbent, read, step)
        progress = replace(progress, step=step, optimizer=proposed[0].state)
        known = {incumbent.version, *(entry.version for entry in progress.failures)}
        fresh = new_ones(proposed, known)
        if not fresh:
            return await self._nothing_new(progress, incumbent, proposed[0].candidate)
        raced = await self._race(step, fresh, self._deciding_ids(ids))
        chosen = fresh[raced.winner]
        progress = replace(progress, optimizer=chosen.state)
        trial = await self._try(progress, incumbent, chosen.candidate, ids)
        progress = await self._decide(progress, chosen.candidate, trial, raced)
        return self._with_losers(progress, fresh, raced)

    async def _nothing_new(
        self, progress: Progress, incumbent: Parameters, candidate: Parameters
    ) -> Progress:
        earlier = next((f for f in progress.failures if f.version == candidate.version), None)
        if earlier is None:
            return await self._undecided(
                progress, incumbent, candidate, "unchanged", "nothing was proposed"
            )
        # not in the paper: asking the same question again only waits for a lucky answer
        reason = f"the same set as in step {earlier.step}, which scored {earlier.score:.1%}"
        return await self._undecided(progress, incumbent, candidate, "rolled_back", reason)

    async def _race(self, step: int, fresh: Sequence[Proposed], ids: frozenset[str]) -> Raced:
        """Let the proposals race each other, if there are several."""
        return await race(
            self._evaluator,
            [one.candidate for one in fresh],
            name=f"{self._settings.accept_on}/{step}",
            tasks=self._deciding,
            ids=tuple(ids),
            seed=f"{self._settings.seed}/{step}",
            first_lap=self._settings.first_lap,
        )

    def _with_losers(self, progress: Progress, fresh: Sequence[Proposed], raced: Raced) -> Progress:
        """Put those that lost the race into the failure record, unless it was begun anew."""
        if not progress.failures:
            return progress
        losers = [
            Rejected(version=one.candidate.version, score=score, step=progress.step)
            for place, (one, score) in enumerate(zip(fresh, raced.scores, strict=True))
            if place != raced.winner and score is not None
        ]
        return replace(
            progress, failures=tuple(sorted((*progress.failures, *losers), key=_by_score))
        )

    async def _confirm(self, progress: Progress) -> Progress:
        """Put the promising version to the proof by itself: a step without a proposal."""
        step = progress.step + 1
        head = await self._parameters(progress.head)
        await self._bus.publish(
            StepStarted(run_id="", step=step, incumbent_version=progress.incumbent)
        )
        progress = replace(progress, step=step)
        trial = await self._try(
            progress, head, head, frozenset(task.id for task in self._deciding), confirm=True
        )
        progress = await self._decide(progress, head, trial)
        return replace(progress, head="", head_scores={})

    async def _propose(
        self, progress: Progress, incumbent: Parameters, ids: frozenset[str], step: int
    ) -> Sequence[Proposed]:
        situation = Situation(
            step=step,
            batch=self._history.batch(incumbent, ids),
            failures=tuple([await self._failed_attempt(entry) for entry in progress.failures]),
            last_verdict=progress.verdicts[-1].reason if progress.verdicts else "",
        )
        proposed = await self._proposer.propose(incumbent, progress.optimizer, situation)
        self._known.update((one.candidate.version, one.candidate) for one in proposed)
        return proposed

    def _deciding_ids(self, ids: frozenset[str]) -> frozenset[str]:
        """Return the tasks that decide about a step whose batch is `ids`."""
        if self._settings.accept_on == "validation":
            return frozenset(task.id for task in self._deciding)
        return ids

    async def _try(
        self,
        progress: Progress,
        builds_on: Parameters,
        candidate: Parameters,
        ids: frozenset[str],
        *,
        confirm: bool = False,
    ) -> Trial:
        split = self._settings.accept_on
        tasks = tuple(sorted(self._deciding_ids(ids)))
        evidence = Evidence(
            step=progress.step,
            seed=self._settings.seed,
            tasks=tasks,
            incumbent={i: progress.scores[i] for i in tasks if i in progress.scores},
            candidate=progress.head_scores if confirm else {},
            earlier=progress.verdicts,
            touched=self._history.touched(builds_on, candidate),
            head=progress.head_scores if progress.head else {},
            confirm=confirm,
        )
        return await try_candidate(
            self._acceptance,
            self._evaluator,
            evidence,
            name=f"{split}/{progress.step}",
            tasks=self._deciding,
            incumbent=await self._parameters(progress.incumbent),
            candidate=candidate,
        )

    async def _decide(
        self,
        progress: Progress,
        candidate: Parameters,
        trial: Trial,
        raced: Raced = NO_RACE,
    ) -> Progress:
        """Accept, go on from a promising version, or roll back: keep what was built on."""
        verdict = trial.verdict
        accepted = verdict.accepted or not self._settings.roll_back
        outcome = "accepted" if accepted else "promising" if verdict.promising else "rolled_back"
        confirmed = candidate.version == progress.head
        rolled_back = outcome == "rolled_back" and not confirmed
        compared = progress.building if rolled_back else progress.incumbent
        progress = replace(progress, verdicts=(*progress.verdicts, verdict))
        if accepted:
            progress = self._accepted(progress, candidate, trial)
        elif verdict.promising:
            rejected = progress.rejected
            progress = self._building_on(progress, trial)
            progress = replace(
                progress,
                # nothing is accepted by it: patience goes on where it was
                rejected=rejected,
                head=candidate.version,
                head_scores=trial.candidate,
                scores={**progress.scores, **trial.incumbent},
            )
        else:
            entry = Rejected(
                version=candidate.version, score=verdict.candidate_score, step=progress.step
            )
            progress = replace(
                progress,
                rejected=progress.rejected + 1,
                # what was learned of the incumbent on the way is kept
                scores={**progress.scores, **trial.incumbent},
                failures=tuple(sorted((*progress.failures, entry), key=_by_score)),
            )
        await self._bus.publish(decided(progress.step, outcome, compared, candidate, trial, raced))
        if accepted and self._settings.test_every_version and self._splits.test is not None:
            name = f"test/{progress.step}"  # looks at the test set; the report says so
            await score_all(self._evaluator, name, candidate, self._splits.test, 1, keep=False)
        return progress

    def _accepted(self, progress: Progress, candidate: Parameters, trial: Trial) -> Progress:
        progress = replace(
            self._building_on(progress, trial),
            incumbent=candidate.version,
            accepted=progress.accepted + 1,
            scores=trial.candidate if trial.verdict.reusable else {},
            head="",
            head_scores={},
        )
        split = self._settings.accept_on
        if len(trial.candidate) == len(self._deciding):
            name = f"{split}/{progress.step}"
            summary = summarise(
                name,
                candidate.version,
                trial.candidate,
                usage=trial.usage,
                episodes=trial.episodes,
            )
            progress = progress.with_summary(f"after/{split}", summary)
        return progress

    def _building_on(self, progress: Progress, trial: Trial) -> Progress:
        """Begin the history and the failure record of another version to build on."""
        progress = replace(progress, rejected=0, failures=(), history=(), seen={})
        if self._settings.accept_on != "train":
            self._history.start_over(())
            return progress
        self._history.start_over(trial.episodes)
        seen = {task_id: len(scores) for task_id, scores in sorted(trial.candidate.items())}
        return replace(progress, history=trial.evaluations, seen=seen)

    async def _undecided(
        self,
        progress: Progress,
        incumbent: Parameters,
        candidate: Parameters,
        outcome: str,
        reason: str,
    ) -> Progress:
        """End a step without an evaluation. It counts against the patience."""
        await self._bus.publish(
            StepDecided(
                run_id="",
                step=progress.step,
                outcome=outcome,
                reason=reason,
                incumbent_version=incumbent.version,
                candidate=candidate,
                incumbent_score=None,
                score=None,
            )
        )
        return replace(progress, rejected=progress.rejected + 1)

    # -- after the last step --------------------------------------------------------------

    async def _finish(self, progress: Progress) -> Progress:
        """Score the best accepted parameters where they have not been: the sealed test above all.

        If nothing was accepted there is nothing to compare, and nothing is paid for.
        """
        found = await self._score_splits(progress, "after", after_name(progress))
        for split, evaluation in sorted(found.items()):
            progress = progress.with_summary(f"after/{split}", evaluation.summary)
        return progress

    async def _compare(self, progress: Progress) -> SealedTestCompared | None:
        """Compare the sealed test before and after, where there is something to compare."""
        before, after = progress.side("before").test, progress.side("after").test
        if before is None or after is None or before.evaluation == after.evaluation:
            return None
        await self._bus.flush()  # the last episodes may still be on their way to the store
        compared = await compare_sealed_test(
            self._store,
            self._bus.run_id,
            before=before.parameters_version,
            after=(after.evaluation, after.parameters_version),
            seed=self._settings.seed,
        )
        await self._bus.publish(compared)
        return compared

    async def _score_splits(
        self, progress: Progress, suffix: str, test: str, samples: int = 1
    ) -> Mapping[str, Evaluation]:
        """Score the incumbent, at once, on every split that has no result of this version.

        Args:
            samples: Episodes of each training task at least, for the optimizer to see.
        """
        incumbent = await self._parameters(progress.incumbent)
        sampled = self._settings.batch_size is not None
        splits = {
            "train": Due(
                None if sampled else self._train,
                f"train/{suffix}",
                repeats=max(self._settings.repeats, samples),
            ),
            "validation": Due(self._splits.validation, f"validation/{suffix}"),
            "test": Due(self._splits.test, test, repeats=self._settings.test_repeats, keep=False),
        }
        due = {
            split: replace(one, repeats=one.repeats or self._settings.repeats)
            for split, one in splits.items()
            if not progress.knows(split, incumbent.version)
        }
        return await score_splits(self._evaluator, incumbent, due)

    # -- small parts ----------------------------------------------------------------------

    def _full_score(self, progress: Progress) -> float | None:
        if self._settings.batch_size is not None:
            return None
        summary = progress.summaries.get(f"after/{self._settings.accept_on}")
        return summary.score if summary else None

    async def _parameters(self, version: str) -> Parameters:
        parameters = self._known.get(version)
        if parameters is None:
            parameters = await self._store.load_parameters(version)
            if parameters is None:
                raise StoreError(
                    f"the run's parameters version {version} is not in the database", path=""
                )
            self._known[version] = parameters
        return parameters

    async def _failed_attempt(self, entry: Rejected) -> FailedAttempt:
        return FailedAttempt(
            parameters=await self._parameters(entry.version), score=entry.score, step=entry.step
        )

    async def _save(self, progress: Progress) -> None:
        # behind every event of the step, so that a checkpoint never points at missing rows
        await self._bus.flush()
        await self._store.save_checkpoint(
            self._bus.run_id, Checkpoint(step=progress.step, state=progress.to_json())
        )


def _by_score(entry: Rejected) -> tuple[float, int]:
    return (entry.score, entry.step)
