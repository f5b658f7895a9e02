from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_file_that_the_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()

    named = re.findall(r"`((?:engine|adapters|storage)/[^`]+)`", text)

    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_steps_of_the_flow_are_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()

    flow = ["scheduler", "rollout", "bus", "batch", "evaluation", "trainer", "parameters", "trial"]

    assert [step for step in flow if f"engine/{step}.py" not in text] == []
