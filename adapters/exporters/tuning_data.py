"""Writes the stored, filtered episodes of a run as data to fine-tune a model on. Streams."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import IO, Literal

from ...engine.canonical import content_hash
from ...engine.episode import Episode, Score
from ...engine.errors import ConfigError
from ...engine.selection import BestOfK, Margin, Strategy, Threshold, trajectories_of
from ...engine.tuning_sets import TuningPair, example_of, pair_of
from ...storage.runs import RunReader
from ..secrets import redactor
from .mixture import Mixture, general_examples, mixed_order
from .tuning_rows import EXAMPLE_FORMS, PAIR_FORMS, Row

By = Literal["signal", "gold", "critic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which of a run's episodes become data."""

    splits: tuple[str, ...] = ("train",)  # the sealed test is no choice in a training
    version: str | None = None  # of the parameters; None: all versions of the run
    by: By = "signal"  # what the run learned from, or one of the two
    minimum: float = 1.0  # least score
    margin: float = 0.2  # preferences: least difference of the two
    best_only: bool = False  # one example a task


@dataclass(slots=True, kw_only=True)
class Written:
    """What became of the episodes."""

    rows: int = 0  # own ones
    general: int = 0
    episodes: int = 0  # looked at, failed ones included
    left_out: Counter[str] = field(default_factory=Counter)  # why -> episodes or tasks


def write_tuning_data(
    reader: RunReader,
    run_id: str,
    form: str,
    choice: Choice,
    out: IO[str],
    mixture: Mixture | None = None,
) -> Written:
    """Write JSONL.

    Raises:
        ConfigError: The run has no such episodes, or the general data does not suffice.
        StoreError: The database cannot be read.
    """
    if mixture is not None and form in PAIR_FORMS:
        raise ConfigError(f"general data has no preferences: not with {form}", key="--general")
    written = Written()
    rows = _rows(reader, run_id, form, choice, written)
    if mixture is None:
        for line in _lines(rows):
            out.write(line)
    else:
        _write_mixed(rows, form, mixture, out, written)
    return written


def _rows(
    reader: RunReader, run_id: str, form: str, choice: Choice, written: Written
) -> Iterator[Row]:
    seen: set[str] = set()
    for evaluation in _evaluations(reader, run_id, choice):
        episodes = reader.episodes(run_id, evaluation)
        for _, group in groupby(episodes, key=lambda episode: episode.job.task_id):
            for row in _rows_of_task(reader, list(group), form, choice, written):
                row_hash = content_hash(row)
                if row_hash in seen:
                    written.left_out["the same as another"] += 1
                    continue
                seen.add(row_hash)
                written.rows += 1
                yield row


def _evaluations(reader: RunReader, run_id: str, choice: Choice) -> list[str]:
    found = reader.evaluations(run_id)
    allowed = {one.evaluation.partition("/")[0] for one in found} & set(choice.splits)
    wanted = [
        one.evaluation
        for one in found
        if one.evaluation.partition("/")[0] in allowed
        and (choice.version is None or one.version.startswith(choice.version))
    ]
    if not wanted:
        raise ConfigError(
            f"the run has no episodes of {', '.join(choice.splits)}"
            + (f" with version {choice.version}" if choice.version else "")
            + f"; it has {', '.join(one.evaluation for one in found[:8]) or 'none at all'}",
            key="--split",
        )
    return wanted


def _rows_of_task(
    reader: RunReader, group: list[Episode], form: str, choice: Choice, written: Written
) -> Iterator[Row]:
    written.episodes += len(group)
    judged = [one for episode in group if (one := _judged(episode, choice.by)) is not None]
    written.left_out["failed, or no such score"] += len(group) - len(judged)
    trajectories = trajectories_of(judged)
    selected = _strategy(form, choice).select(trajectories)
    if form in PAIR_FORMS:
        if not selected.pairs:
            written.left_out["tasks without a better and a worse one"] += 1
        for pair in selected.pairs:
            made = _pair(reader, pair.better.episode, pair.worse.episode)
            if made is None:
                written.left_out["pairs that part in no turn of the agent"] += 1
            else:
                yield PAIR_FORMS[form](made)
        return
    copies = sum(trajectory.copies for trajectory in selected.chosen)
    written.left_out["not chosen"] += len(trajectories) - copies
    written.left_out["the same as another"] += copies - len(selected.chosen)
    for trajectory in selected.chosen:
        episode = trajectory.episode
        example = example_of(episode, reader.offered(episode.run_id, episode.id))
        if example is None:
            written.left_out["no turn to learn, or an unreadable call"] += 1
        else:
            yield EXAMPLE_FORMS[form](example)


def _pair(reader: RunReader, better: Episode, worse: Episode) -> TuningPair | None:
    return pair_of(better, worse, reader.offered(better.run_id, better.id))


def _strategy(form: str, choice: Choice) -> Strategy:
    if form in PAIR_FORMS:
        return Margin(margin=choice.margin, minimum=choice.minimum)
    return (BestOfK if choice.best_only else Threshold)(minimum=choice.minimum)


def _judged(episode: Episode, by: By) -> Episode | None:
    """Return the episode with the score that the choice goes by; None where it has none."""
    score = episode.score
    if score is None or by == "signal":
        return None if score is None else episode
    if by == "critic":
        judgement = score.judgement
        if judgement is None:
            return None
        judged = Score(value=judgement.score, by="critic", judgement=judgement)
        return replace(episode, score=judged)
    gold = score.value if score.by == "gold" else score.gold
    return None if gold is None else replace(episode, score=Score(value=gold))


def _write_mixed(
    rows: Iterator[Row], form: str, mixture: Mixture, out: IO[str], written: Written
) -> None:
    """Write own and general rows in a seeded order; both wait in a file, not in memory."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        places = []
        for line in _lines(rows):
            places.append(spool.tell())
            spool.write(line)
        own = len(places)
        general = (EXAMPLE_FORMS[form](one) for one in general_examples(mixture, own))
        for line in _lines(general):
            places.append(spool.tell())
            spool.write(line)
        written.general = len(places) - own
        for number in mixed_order(own, written.general, mixture.seed):
            spool.seek(places[number])
            out.write(spool.readline())


def _lines(rows: Iterator[Row]) -> Iterator[str]:
    redact = redactor()
    for row in rows:
        # ASCII: a line separator in a model's text ends no row
        yield redact(json.dumps(row)) + "\n"
