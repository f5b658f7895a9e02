"""Trainings of the pupil inside this process: real store, sandbox, LiteLLM and HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from funcforge import Config, load_config

from tests.end_to_end.command import settings
from tests.end_to_end.pupil import write_problems

CONFIG = """
name = "lesson"

[agent]
model = "openai/loopback"
temperature = 0.0
python = false

[tasks]
path = "problems.jsonl"

[scorer]
kind = "numeric"

[training]
patience = 1
acceptance = "paper"  # asks every task once: a request that comes twice was paid for twice

[models."openai/loopback"]
context_tokens = 128_000
max_output_tokens = 4_096
prompt_usd_per_million = 0.15
completion_usd_per_million = 0.6
"""


def write_lesson(folder: Path, *, train: int, test: int) -> Path:
    """Write a config and its problems; return the config's path."""
    write_problems(folder / "problems.jsonl", train + test)
    config = folder / "lesson.toml"
    tasks = f'path = "problems.jsonl"\ntrain = {train}\ntest = {test}'
    config.write_text(CONFIG.replace('path = "problems.jsonl"', tasks), encoding="utf-8")
    return config


def lesson_settings(base_url: str, **changes: Any) -> list[str]:
    """Return `--set` options: where the provider is, and what else differs."""
    return settings(**{'models__"openai/loopback"__base_url': base_url}, **changes)


def load_lesson(config: Path, base_url: str, **changes: Any) -> Config:
    """Load the config as the command line would."""
    options = lesson_settings(base_url, **changes)
    return load_config(config, overrides=options[1::2], environ={})
