"""What the wiring makes of a config."""

from __future__ import annotations

from pathlib import Path

import pytest
from funcforge.adapters.config import Config, load_config
from funcforge.adapters.wiring import load_callable, retry_settings
from funcforge.engine.errors import ConfigError


def config(folder: Path, *lines: str) -> Config:
    (folder / "tasks.jsonl").write_text("{}")
    file = folder / "run.toml"
    start = '[agent]\nmodel = "openai/a"\n[tasks]\npath = "tasks.jsonl"\ntrain = 20\n'
    file.write_text(start + "\n".join(lines))
    return load_config(file, environ={}, purpose="train")


def test_a_slow_model_gets_the_longer_time_that_its_own_section_gives_it(tmp_path: Path) -> None:
    slow = config(
        tmp_path, "[limits]", "call_timeout_s = 60", '[models."openai/a"]', "timeout_s = 600"
    )

    assert retry_settings(slow).call_timeout_s == 600


def test_a_persons_file_that_does_not_parse_is_an_error_of_the_config(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def scorer(:\n")

    with pytest.raises(ConfigError, match=r"mine.py:scorer' cannot be imported: .*line 1"):
        load_callable(f"{file}:scorer", key="scorer.kind")
