"""What the wiring makes of a config."""

from __future__ import annotations

from pathlib import Path

import pytest
from funcforge.adapters.config import Config, load_config
from funcforge.adapters.parts import load_callable, make_environment
from funcforge.adapters.providers import retry_settings
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


OWN = """
class Clock:
    def __init__(self, path=None, hours=12):
        self.made_of = (path, hours)

    def open(self, task, *, seed):
        ...

nothing = dict
"""


def test_a_persons_environment_is_made_with_its_path_and_options(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "data").mkdir()
    own = config(
        tmp_path, "[environment]", 'kind = "mine.py:Clock"', 'path = "data"', "options.hours = 24"
    )

    made = make_environment(own)

    assert getattr(made, "made_of", None) == (str(tmp_path / "data"), 24)
    assert make_environment(config(tmp_path)) is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (('kind = "mine.py:Watch"',), "environment.kind: .*cannot be imported: .*Watch"),
        (('kind = "mine.py:Clock"', "options.days = 1"), "environment.options: .*'days'"),
        (('kind = "mine.py:nothing"',), r"environment.kind: .*no method open\(task, \*, seed\)"),
        (('kind = "yours.py:Clock"',), "there is no file"),
        (('kind = "mine.py:Clock"', 'path = "nowhere"'), "environment.path: there is no file"),
        (('kind = "chess"',), "environment.kind: allowed are .*your own"),
        (("timeout_s = 3.0",), "environment.kind"),
    ],
)
def test_an_environment_that_cannot_be_made_is_an_error_of_the_config(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    (tmp_path / "mine.py").write_text(OWN)

    with pytest.raises(ConfigError, match=message):
        make_environment(config(tmp_path, "[environment]", *lines))


def test_a_module_of_a_person_that_raises_is_a_wrong_config(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("raise RuntimeError('no key')")

    with pytest.raises(ConfigError, match=r"cannot be imported: RuntimeError: no key"):
        load_callable(f"{file}:agent", key="agent.kind")
