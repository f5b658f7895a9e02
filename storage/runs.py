"""Reads stored runs for people: lists them, finds one, shows all of it. Never writes.

Synchronous and light on purpose: `funcforge runs` must start fast, and a run may be writing to the
same file meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from ..engine.arm import arm_of
from ..engine.episode import Episode
from ..engine.errors import RunNotFound
from ..engine.events import Verdicts
from ..engine.messages import Tool
from ..engine.parameters import Parameters
from ..engine.reliability import Divergence, Reliability, divergence, reliability
from ..engine.statistics import Moments
from ..engine.usage import Usage
from . import values
from .ledger import ledger
from .ownership import is_alive
from .reading import ReadOnlyFile
from .records import (
    Decision,
    EditRecord,
    Evaluated,
    FunctionUse,
    FunctionVersion,
    RunSummary,
    RunView,
    SealedTest,
)
from .rows import VERDICT_COLUMNS
from .spelling import column, read, unpack

__all__ = [
    "Decision",
    "EditRecord",
    "Evaluated",
    "FunctionUse",
    "FunctionVersion",
    "RunReader",
    "RunSummary",
    "RunView",
    "SealedTest",
]

PAGE_EPISODES = 64  # read at once when episodes are streamed
_SHOWN_CANDIDATES = 5  # run ids that an ambiguous name is answered with

_Row = Mapping[str, Any]


class RunReader:
    """Stored runs. Use as `with RunReader(path) as reader`. A missing file holds no runs.

    Raises:
        StoreLocked, StoreTooNew, StoreCorrupt, StoreError: From every method.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().resolve()
        self._file = ReadOnlyFile(self.path)
        self._read = self._file.read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()

    def resolve(self, name: str) -> str:
        """Return the id of the run that a person means: an id, its beginning, or `latest`.

        Raises:
            RunNotFound: No run, or several runs, are meant.
        """
        if name == "latest":
            found = self._read("newest_whole_run")
        else:
            found = self._read("runs_beginning", name=name)
            exact = [row for row in found if row["id"] == name]
            # the ids of a run's parts begin with its own
            found = exact or [row for row in found if not row["part_of"]] or found
        if len(found) == 1:
            return str(found[0]["id"])
        raise RunNotFound(_not_found(name, [row["id"] for row in found]), file=str(self.path))

    def runs(self, limit: int | None = None) -> list[RunSummary]:
        """Return the runs, newest first."""
        with self._file.snapshot():
            found = self._read("newest_runs", limit=-1 if limit is None else limit)
            return [self._summary(row) for row in found]

    def view(self, run_id: str) -> RunView:
        """Return everything about one run but its conversations.

        Raises:
            RunNotFound: There is no run of exactly this id.
        """
        with self._file.snapshot():
            return self._view(run_id)

    def _view(self, run_id: str) -> RunView:
        found = self._read("find_run", id=run_id)
        if not found:
            raise RunNotFound(_not_found(run_id, ()), file=str(self.path))
        row = found[0]
        evaluations = self._evaluations(run_id)
        state = self._state(run_id)
        parameters = self._parameters(run_id)
        first = next((e.version for e in evaluations if e.version in parameters), "")
        initial = parameters.get(state.get("initial", first), Parameters())
        final = parameters.get(state.get("incumbent", first), initial)
        uses = tuple(self._functions(run_id))
        config = read(row["config"])
        return RunView(
            summary=self._summary(row),
            config=config,
            task_hashes=read(row["task_hashes"]),
            step=state.get("step", 0),
            initial=initial,
            final=final,
            parameters=parameters,
            evaluations=tuple(evaluations),
            decisions=tuple(self._decisions(run_id)),
            functions=uses,
            ledger=ledger(
                self._read("function_lineage", run_id=run_id),
                uses,
                {f.hash: f for held in parameters.values() for f in held.functions},
                initial=initial,
                final=final,
            ),
            costs={r["part"]: values.usage_of(r) for r in self._read("costs", run_id=run_id)},
            critic=self._critic(run_id),
            divergence=self._divergence(run_id, config, initial, final),
            sealed_test=self._sealed_test(run_id),
        )

    def evaluations(self, run_id: str) -> list[Evaluated]:
        """Return the evaluations of a run in the order in which they began."""
        return self._evaluations(run_id)

    def episodes(self, run_id: str, evaluation: str) -> Iterator[Episode]:
        """Stream the episodes of one evaluation by (task id, repeat), failed ones too."""
        place: dict[str, Any] = {"task_id": "", "repeat": -1, "episode_id": ""}
        where = {"run_id": run_id, "evaluation": column(evaluation), "page": PAGE_EPISODES}
        while page := self._read("episodes_after", **where, **place):
            for row in page:
                key = {"run_id": run_id, "episode_id": row["episode_id"]}
                calls = self._read("calls_of_episode", **key)
                yield values.episode_of(row, [call["elapsed_s"] for call in calls])
            place = {name: page[-1][name] for name in place}

    def offered(self, run_id: str, episode_id: str) -> tuple[Tool, ...]:
        """Return the tools that an episode's agent offered to its model, at its first call."""
        found = self._read("first_head", run_id=run_id, scope=episode_id)
        return values.tools_of(found[0]) if found else ()

    # -- parts of a view --------------------------------------------------------------------

    def _summary(self, row: _Row) -> RunSummary:
        before, after = self._sides(row)
        status = row["status"]
        if status == "running" and not is_alive(self.path, row["id"]):
            status = "interrupted"  # its process died without a word
        return RunSummary(
            id=row["id"],
            kind=row["kind"],
            name=row["name"],
            status=status,
            stopped_by=row["stopped_by"],
            message=row["message"],
            sandbox=row["sandbox"],
            seed=row["seed"],
            created_at_unix_s=row["created_at_unix_s"],
            seconds=row["seconds"],
            usage=values.usage_of(row),
            before=before,
            after=after,
        )

    def _sides(self, row: _Row) -> tuple[dict[str, Evaluated], dict[str, Evaluated]]:
        """Return the scores before and after, by split: what the trainer itself holds so."""
        if row["kind"] == "compare":
            arms = {arm_of(e.evaluation): e for e in self._evaluations(row["id"])}
            return {}, {arm: e for arm, e in arms.items() if e.score is not None}
        if row["kind"] != "train":
            found = {_split(e.evaluation): e for e in self._evaluations(row["id"])}
            return {}, {split: e for split, e in found.items() if e.score is not None}
        sides: dict[str, dict[str, Evaluated]] = {"before": {}, "after": {}}
        for name, summary in self._state(row["id"]).get("summaries", {}).items():
            side, _, split = name.partition("/")
            if side in sides:
                sides[side][split] = _told(summary)
        return sides["before"], sides["after"]

    def _state(self, run_id: str) -> dict[str, Any]:
        """Return the trainer's state at the last checkpoint."""
        found = self._read("last_checkpoint", run_id=run_id)
        state = read(unpack(found[0]["packed"])) if found else None
        return state if isinstance(state, dict) else {}

    def _evaluations(self, run_id: str) -> list[Evaluated]:
        return [_evaluated(row) for row in self._read("evaluations_of", run_id=run_id)]

    def _parameters(self, run_id: str) -> dict[str, Parameters]:
        functions = {
            row["hash"]: row["body"] for row in self._read("rows_of_functions", run_id=run_id)
        }
        return {
            row["version"]: values.parameters_of(
                row, [functions[name] for name in read(row["functions"])]
            )
            for row in self._read("rows_of_parameters", run_id=run_id)
        }

    def _decisions(self, run_id: str) -> Iterable[Decision]:
        edits = self._edits(run_id)
        for row in self._read("decisions_of", run_id=run_id):
            yield Decision(
                step=row["step"],
                outcome=row["outcome"],
                reason=row["reason"],
                incumbent_version=row["incumbent_version"],
                candidate_version=row["candidate_version"],
                incumbent_score=row["incumbent_score"],
                score=row["score"],
                incumbent_low=row["incumbent_low"],
                incumbent_high=row["incumbent_high"],
                score_low=row["score_low"],
                score_high=row["score_high"],
                effect=row["effect"],
                low=row["low"],
                high=row["high"],
                gold=row["gold_score"],
                critic=row["critic_score"],
                episodes=row["episodes"],
                usage=values.usage_of(row),
                details=read(row["details"]),
                edits=tuple(edit for edit in edits if edit.step == row["step"]),
            )

    def _critic(self, run_id: str) -> Reliability | None:
        return reliability(
            (row["critic_score"], row["gold_score"], row["critic_agreement"])
            for row in self._read("judged_of", run_id=run_id)
        )

    def _divergence(
        self, run_id: str, config: Mapping[str, Any], first: Parameters, last: Parameters
    ) -> Divergence | None:
        """Compare the first version and the last on the tasks that decide."""
        split = (config.get("training") or {}).get("accept_on", "train")
        sides: dict[str, dict[str, tuple[float, float]]] = {}
        for row in self._read(
            "judged_by_version",
            run_id=run_id, split=split, first=first.version, last=last.version,
        ):  # fmt: skip
            side = sides.setdefault(row["parameters_version"], {})
            side[row["task_id"]] = (row["critic"], row["gold"])
        if first.version == last.version or len(sides) < 2:
            return None
        return divergence(sides[first.version], sides[last.version])

    def _edits(self, run_id: str) -> list[EditRecord]:
        bodies = [
            read(row["body"])
            for row in self._read("events_of", run_id=run_id, event="EditProposed")
        ]
        edits = [
            EditRecord(
                step=body["step"],
                action=body["action"],
                proposal=body["proposal"],
                edit=body["edit"],
                refused=body["refused"],
            )
            for body in bodies
        ]
        return sorted(edits, key=lambda edit: (edit.step, edit.proposal, edit.action))

    def _sealed_test(self, run_id: str) -> SealedTest | None:
        found = self._read("events_of", run_id=run_id, event="SealedTestCompared")
        if not found:
            return None
        body = read(found[0]["body"])
        return SealedTest(**{field.name: body[field.name] for field in fields(SealedTest)})

    def _functions(self, run_id: str) -> Iterable[FunctionUse]:
        outcomes: dict[tuple[str, str | None], dict[str, int]] = {}
        for row in self._read("function_outcomes", run_id=run_id):
            counted = outcomes.setdefault((row["name"], row["function_hash"]), {})
            counted[row["outcome"]] = row["calls"]
        last = {
            (row["name"], row["function_hash"]): row
            for row in self._read("function_last_uses", run_id=run_id)
        }
        shares: dict[tuple[str, str | None], Moments] = {}
        for row in self._read("function_shares", run_id=run_id):
            shares.setdefault((row["name"], row["function_hash"]), Moments()).add(row["share"])
        for row in self._read("function_uses", run_id=run_id):
            key = row["name"], row["function_hash"]
            counted = outcomes[key]
            solved = shares[key].interval() if key in shares else None
            yield FunctionUse(
                name=row["name"],
                function_hash=row["function_hash"],
                calls=row["calls"],
                outcomes=counted,
                elapsed_s=row["elapsed_s"],
                episodes=row["episodes"],
                solved=row["solved"],
                solved_share=solved.score if solved else None,
                solved_low=solved.low if solved else None,
                solved_high=solved.high if solved else None,
                failed=row["failed"],
                tasks=row["tasks"],
                tasks_solved=row["tasks_solved"],
                slowest_s=row["slowest_s"],
                last_used=last[key]["evaluation"],
                last_used_unix_s=last[key]["at_unix_s"],
            )


def _split(evaluation: str) -> str:
    return evaluation.partition("/")[0]


def _evaluated(row: _Row) -> Evaluated:
    finished = row["score"] is not None
    return Evaluated(
        evaluation=row["evaluation"],
        version=row["parameters_version"],
        planned=row["planned"],
        score=row["score"],
        low=row["low"],
        high=row["high"],
        tasks=row["tasks"] or 0,
        episodes=row["episodes"] or 0,
        failed=row["failed"] or 0,
        usage=values.usage_of(row) if finished else Usage(),
        gold=_verdicts(row, "gold"),
        critic=_verdicts(row, "critic"),
        at_unix_s=row["at_unix_s"],
    )


def _verdicts(row: _Row, judge: str) -> Verdicts | None:
    if row[f"{judge}_score"] is None:
        return None
    return Verdicts(**{name: row[f"{judge}_{name}"] for name in VERDICT_COLUMNS})


def _told(summary: _Row) -> Evaluated:
    """Read an `EvaluationFinished` as the trainer's state holds it."""
    return Evaluated(
        evaluation=summary["evaluation"],
        version=summary["parameters_version"],
        score=summary["score"],
        low=summary["low"],
        high=summary["high"],
        tasks=summary["tasks"],
        episodes=summary["episodes"],
        failed=summary["failed"],
        usage=Usage(**summary["usage"]),
        gold=Verdicts(**summary["gold"]) if summary.get("gold") else None,
        critic=Verdicts(**summary["critic"]) if summary.get("critic") else None,
        at_unix_s=summary["at_unix_s"],
    )


def _not_found(name: str, found: Sequence[str]) -> str:
    if len(found) > 1:
        listed = ", ".join(found[:_SHOWN_CANDIDATES])
        more = ", ..." if len(found) > _SHOWN_CANDIDATES else ""
        return f"{name!r} is the beginning of {len(found)} runs: {listed}{more}. Type more of it"
    if name == "latest":
        return "there are no runs yet"
    return f"there is no run {name!r}. `funcforge runs` lists them"
