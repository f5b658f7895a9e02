"""What the terminal prints of a comparison: names of people and models are text, not markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from funcforge.adapters.cli.app import invoke

from tests.adapters.views.comparison.stored import store_comparison


async def test_show_prints_every_table_and_takes_no_markup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    skills = {"m/[red]a[/]": 0.3, "m/[/b]": 0.9}
    await store_comparison(tmp_path / ".funcforge" / "runs.db", skills, tasks=40)

    assert invoke(["show", "run"]) == 0
    assert invoke(["runs"]) == 0

    shown = capsys.readouterr().out
    told = "m/[/b] is better than m/[red]a[/]"
    for text in ("Accuracy", "Differences", "Categories", "Money", "Time", "not streamed", told):
        assert text in " ".join(shown.split()), text
    assert "2 arms, best 90.0 %" in shown
    for suffix in ("html", "md", "csv"):
        assert (tmp_path / ".funcforge" / "reports" / f"run.{suffix}").exists()
