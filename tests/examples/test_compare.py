"""The example of a comparison: no key, no network, and the verdicts that it promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from funcforge import Opening, load_config, open_comparison
from funcforge.adapters.views.comparison.story import read_comparison
from funcforge.adapters.views.comparison.transfer import by_category
from funcforge.storage.runs import RunReader

EXAMPLE = Path(__file__).parents[2] / "examples" / "compare.toml"


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap"),
]


async def test_each_kind_of_task_is_learned_and_tried_on_the_others(tmp_path: Path) -> None:
    overrides = [f"store.path={tmp_path / 'runs.db'}"]
    file = EXAMPLE.with_name("transfer.toml")
    config = load_config(file, overrides=overrides, environ={}, purpose="compare")
    async with open_comparison(config, Opening(run_id="run")) as run:
        outcome = await run.wait()
    with RunReader(tmp_path / "runs.db") as reader:
        story = read_comparison(reader.view("run"), reader.path)

    assert outcome.status == "done", outcome.message
    cells = [cell for cell in by_category(story) if cell.learned in ("money", "numbers")]
    assert sum(cell.sure for cell in cells if cell.home) >= 4, "of 8 families that were taught"
    assert {cell.gain for cell in cells if not cell.home} == {0.0}
    assert story.arms[-1].estimate is not None
    assert story.arms[-1].estimate.score > 0.6, "all families"


async def test_what_was_learned_is_told_from_untrained(tmp_path: Path) -> None:
    overrides = [f"store.path={tmp_path / 'runs.db'}"]
    config = load_config(EXAMPLE, overrides=overrides, environ={}, purpose="compare")
    async with open_comparison(config, Opening(run_id="run")) as run:
        outcome = await run.wait()
    with RunReader(tmp_path / "runs.db") as reader:
        story = read_comparison(reader.view("run"), reader.path)
        listed = reader.runs()[0]

    assert outcome.status == "done", outcome.message
    scores = [arm.estimate.score for arm in story.arms if arm.estimate]
    assert scores[0] < 0.1 < scores[1] < 0.6 < 0.9 < scores[2]
    assert {pair.verdict for pair in story.pairs} == {"better"}
    assert [verdict.outcome for verdict in story.gate] == ["passed"]
    assert set(listed.after) == {"untrained", "after two steps", "trained"}
