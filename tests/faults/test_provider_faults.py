"""Invariant 1 and politeness: what a provider does wrong is waited out, or told, never scored."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from funcforge import Opening, open_evaluation, open_training
from funcforge.engine.calls import Retry
from funcforge.engine.run import Outcome

from tests.end_to_end.lessons import load_lesson, write_lesson
from tests.faults.killing import signing, stored
from tests.loopback.faults import TRANSIENT, Fault, RateLimiter, SeededFaults
from tests.loopback.provider import LoopbackProvider

DETERMINISTIC = [
    (Fault.AUTH, "key"),
    (Fault.PERMISSION, "access"),
    (Fault.UNKNOWN_MODEL, "does not exist"),
    (Fault.QUOTA, "quota"),
    (Fault.BAD_REQUEST, "Invalid 'stop'"),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    # the waits between attempts, twenty times as short
    monkeypatch.setitem(Retry.__init__.__kwdefaults__, "first_wait_s", 0.025)
    monkeypatch.setitem(Retry.__init__.__kwdefaults__, "longest_wait_s", 1.5)


async def train(
    folder: Path, provider: LoopbackProvider, *, train: int = 16, test: int = 200, **changes: Any
) -> Outcome[Any]:
    """Train in this process, and keep the rows in `folder`."""
    config = load_lesson(
        write_lesson(folder, train=train, test=test),
        provider.openai_base_url,
        limits__in_flight=200,
        limits__call_timeout_s=2.0,
        store__path=str(folder / "runs.db"),
        **changes,
    )
    async with open_training(config, Opening(run_id="run")) as run:
        return await run.wait()


async def test_a_tenth_of_the_calls_failing_in_every_way_that_passes_changes_nothing(
    tmp_path: Path,
) -> None:
    for name in ("peace", "storm"):
        (tmp_path / name).mkdir()
    async with LoopbackProvider(brain=signing()) as provider:
        peace = await train(tmp_path / "peace", provider)
    faults = SeededFaults(rate=0.1, kinds=TRANSIENT, seed=3)
    async with LoopbackProvider(brain=signing(), faults=faults, latency_s=0.2) as provider:
        found = await train(tmp_path / "storm", provider)
        outcomes = provider.ledger.outcomes()

    assert found.status == "done", found.message
    assert all(outcomes[kind] for kind in TRANSIENT), outcomes
    assert found.value.parameters == peace.value.parameters
    assert found.value.after.test.failed == 0
    assert found.usage == peace.usage
    storm = await stored(tmp_path / "storm" / "runs.db", "run")
    for table, rows in (await stored(tmp_path / "peace" / "runs.db", "run")).items():
        assert storm[table] == rows, table


async def test_when_every_call_fails_the_run_stops_soon_with_the_cause_and_no_score(
    tmp_path: Path,
) -> None:
    faults = SeededFaults(rate=1.0, kinds=(Fault.ERROR_503, Fault.RESET_BEFORE))
    async with LoopbackProvider(brain=signing(), faults=faults) as provider:
        began_s = time.monotonic()
        found = await train(tmp_path, provider, test=2_000)
        took_s = time.monotonic() - began_s

        # 200 in flight, 6 attempts each; once the model is known to be down, one each
        assert len(provider.ledger) <= 200 * 6 + 400
    assert took_s < 60
    assert (found.status, found.stopped_by, found.value) == ("failed", "error", None)
    assert "episodes failed" in found.message
    assert "server_error" in found.message or "overloaded" in found.message
    with sqlite3.connect(tmp_path / "runs.db") as database:
        assert database.execute("SELECT count(score) FROM evaluations").fetchone() == (0,)
        assert database.execute("SELECT count(score) FROM episodes").fetchone() == (0,)
    database.close()


@pytest.mark.parametrize(("fault", "told"), DETERMINISTIC, ids=lambda value: str(value))
async def test_what_no_waiting_cures_is_asked_a_few_times_and_told_once(
    tmp_path: Path, fault: Fault, told: str
) -> None:
    faults = SeededFaults(rate=1.0, kinds=(fault,))
    async with LoopbackProvider(brain=signing(), faults=faults) as provider:
        found = await train(tmp_path, provider, test=2_000)
        asked = Counter(entry.hash for entry in provider.ledger)

    assert found.status == "failed"
    assert told.lower() in found.message.lower()
    assert "\n" not in found.message.strip()
    assert set(asked.values()) == {1}, "a deterministic error is never retried"
    assert asked.total() <= 40  # what was in flight when the third came back


class OneQuestion:
    """Refuses one question, whoever asks."""

    def __call__(self, ask: Any) -> Fault | None:
        return Fault.CONTENT_POLICY if "Problem 7." in ask.question else None


async def test_one_refused_question_is_one_failed_episode(tmp_path: Path) -> None:
    async with LoopbackProvider(brain=signing(), faults=OneQuestion()) as provider:
        found = await train(tmp_path, provider, train=30, test=30)
        refused = [entry for entry in provider.ledger if entry.outcome == Fault.CONTENT_POLICY]

    assert found.status == "done", found.message
    failed = found.value.before.train.failed + found.value.before.test.failed
    assert failed == 1
    assert len({entry.hash for entry in refused}) == len(refused)


@pytest.mark.parametrize("climb", [False, True])
async def test_a_question_that_is_always_refused_is_left_out_of_a_decision_by_waves(
    tmp_path: Path, climb: bool
) -> None:
    # asked again alone, all of a wave fails
    async with LoopbackProvider(brain=signing(), faults=OneQuestion()) as provider:
        found = await train(
            tmp_path,
            provider,
            train=30,
            test=30,
            training__acceptance="sequential",
            training__acceptance_options__climb=climb,
        )

    assert found.status == "done", found.message
    verdicts = found.value.progress.verdicts
    assert any(verdict.details["dropped"] == 1 for verdict in verdicts)
    with sqlite3.connect(tmp_path / "runs.db") as database:
        waves = database.execute(
            "SELECT score, low, high FROM evaluations WHERE failed > 0 AND episodes = 0"
        ).fetchall()
    assert waves or climb  # which asks its rounds together
    assert set(waves) <= {(0.0, 0.0, 1.0)}, "nothing is known by it"


@pytest.mark.slow
async def test_the_allowed_rate_is_used_to_ninety_percent_with_few_refusals(
    tmp_path: Path,
) -> None:
    per_minute = 2_400  # four times as fast as the provider of the story, for a quarter as long
    limiter = RateLimiter(requests_per_minute=per_minute, concurrent=30)
    write_lesson(tmp_path, train=1, test=800)
    async with LoopbackProvider(brain=signing(), limiter=limiter, latency_s=0.3) as provider:
        config = load_lesson(
            tmp_path / "lesson.toml",
            provider.openai_base_url,
            limits__in_flight=200,
            limits__requests_per_minute=per_minute,
            store__path=str(tmp_path / "runs.db"),
        )
        async with open_evaluation(config, None, Opening(run_id="run")) as run:
            outcome = await run.wait()
        entries = provider.ledger.entries

    assert outcome.status == "done", outcome.message
    began_s = entries[0].at_unix_s + 3.0  # warm-up
    ended_s = entries[-1].at_unix_s - 0.5
    seconds = Counter(
        int(e.at_unix_s - began_s)
        for e in entries
        if began_s <= e.at_unix_s <= ended_s and e.outcome == "answered"
    )
    # in the usual second: a machine that stops for a while is not the limiter's doing
    whole = [seconds[second] for second in range(int(ended_s - began_s))]
    assert median(whole) >= 0.9 * per_minute / 60
    assert sum(entry.outcome == "limited" for entry in entries) < 0.02 * len(entries)
