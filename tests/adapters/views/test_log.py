"""structlog as a sink: quiet, bound, redacted, and a guest in the process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from funcforge.adapters.views.log import LogSink
from funcforge.engine.errors import ConfigError
from funcforge.engine.events import ModelRetried, RunFinished

from tests.adapters.views.happenings import EMPTY, episode, whole_run


async def logged(tmp_path: Path, *events: Any, **settings: Any) -> list[dict[str, Any]]:
    file = tmp_path / "log" / "run.jsonl"
    with LogSink(form="json", file=str(file), **settings) as sink:
        for event in events:
            await sink.handle(event)
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_run_step_and_episode_are_bound(tmp_path: Path) -> None:
    lines = await logged(tmp_path, *whole_run(), level="debug")

    by_name = {line["event"]: line for line in lines}
    assert all(line["run_id"] == "r1" for line in lines)
    assert by_name["EditProposed"]["step"] == 1
    assert by_name["EpisodeFinished"]["episode_id"]
    assert by_name["EpisodeFinished"]["task_id"] == "t3"
    assert {line["level"] for line in lines} == {"debug", "info"}


async def test_a_good_run_is_silent_by_default(tmp_path: Path) -> None:
    assert await logged(tmp_path, *whole_run()) == []


async def test_failed_episodes_and_failed_runs_are_heard(tmp_path: Path) -> None:
    ended = RunFinished(run_id="r1", status="failed", stopped_by="error", message="401")

    lines = await logged(tmp_path, episode("train/0", EMPTY, 0, None), ended)

    assert [(line["level"], line["message"]) for line in lines] == [
        ("warning", "503"),
        ("error", "401"),
    ]


async def test_secrets_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "correct-horse-battery")
    event = RunFinished(
        run_id="r1",
        status="failed",
        stopped_by="error",
        message="correct-horse-battery and sk-abcdefghijklmnopqrst",
    )

    (line,) = await logged(tmp_path, event)

    assert line["message"] == "[redacted] and [redacted]"


async def test_the_console_form_is_one_line_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = RunFinished(run_id="r1", status="failed", stopped_by="error", message="a\x1b[2Jb")

    with LogSink() as sink:
        await sink.handle(event)

    text = capsys.readouterr().err
    assert "RunFinished" in text
    assert "run_id=r1" in text
    assert "\x1b" not in text
    assert text.count("\n") == 1


async def test_structlogs_own_configuration_is_left_alone(tmp_path: Path) -> None:
    before = structlog.get_config()

    await logged(tmp_path, *whole_run(), level="debug")

    assert structlog.get_config() == before
    assert not structlog.is_configured()


async def test_retries_are_worth_a_line_on_request(tmp_path: Path) -> None:
    event = ModelRetried(
        run_id="r1", scope="s", model="a/b", kind="rate_limit", attempt=1, wait_s=0.5
    )

    assert await logged(tmp_path, event) == []
    assert [line["kind"] for line in await logged(tmp_path, event, level="info")] == ["rate_limit"]


def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"log\.file: cannot write"):
        LogSink(file=str(tmp_path / "file" / "below.log"))
