"""How a run starts: the event loop is free at once, and LiteLLM comes only where it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from funcforge import open_training
from funcforge.adapters import parts, wiring
from funcforge.adapters.config import load_config
from funcforge.adapters.models import loading

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONFIG = """
[agent]
model = "MODEL"
[tasks]
path = "tasks.jsonl"
train = 1
[sandbox]
packages = []
"""


def write(folder: Path, model: str) -> Path:
    file = folder / "run.toml"
    file.write_text(CONFIG.replace("MODEL", model))
    (folder / "tasks.jsonl").write_text(json.dumps({"prompt": "What is 2 + 2?", "target": "4"}))
    return file


IMPORTED = """
import sys
import anyio
from funcforge import load_config, open_evaluation

async def main():
    config = load_config(sys.argv[1], purpose="evaluate", overrides=["store.path=" + sys.argv[2]])
    async with open_evaluation(config) as run:
        outcome = await run.wait()
    assert outcome.status == "done", outcome.message
    print("litellm" in sys.modules)

anyio.run(main)
"""


FIRST_VIEW = """
import sys
from funcforge.adapters.cli import app, running
from funcforge.adapters.config import load_config
from funcforge.adapters.views import live

assert running.undecidable(load_config(sys.argv[1])) is None
late = {"litellm", "aiohttp", "sqlite3", "funcforge.adapters.wiring", "funcforge.engine.trainer"}
late |= {"funcforge.adapters.parts", "funcforge.engine.acceptances"}
late |= {"funcforge.storage.database", "funcforge.storage.runs", "jsonschema"}
print(sorted(late & sys.modules.keys()))
"""


def test_the_first_view_waits_for_no_engine_no_database_and_no_http(tmp_path: Path) -> None:
    config = write(tmp_path, "openai/gpt-4o-mini")

    done = subprocess.run(
        [sys.executable, "-c", FIRST_VIEW, str(config)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_a_run_of_embedded_models_never_imports_litellm(tmp_path: Path) -> None:
    config = write(tmp_path, "embedded/apprentice")

    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, str(config), str(tmp_path / "runs.db")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout == "False\n", done.stderr


async def test_the_loop_goes_on_while_tasks_are_read_and_litellm_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(write(tmp_path, "openai/gpt-4o-mini"), environ={})
    ticked = threading.Event()
    waited: dict[str, bool] = {}

    def slow(name: str, made: Any) -> Any:
        def work(*arguments: Any) -> Any:
            waited[name] = ticked.wait(10)  # which only the loop can end
            return made(*arguments)

        return work

    class Enough(Exception):
        pass

    def stop(*arguments: Any) -> Any:
        raise Enough

    monkeypatch.setattr(wiring, "load_tasks", slow("tasks", parts.load_tasks))
    monkeypatch.setattr(loading, "load_litellm", slow("litellm", lambda: None))
    monkeypatch.setattr(wiring, "make_optimizer", stop)

    async def tick() -> None:
        await anyio.sleep(0.05)
        ticked.set()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        with pytest.raises((Enough, ExceptionGroup)):
            async with open_training(config):
                pass

    assert waited == {"tasks": True, "litellm": True}
