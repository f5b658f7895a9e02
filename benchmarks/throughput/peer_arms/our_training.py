"""Our training, from a config file as on the command line: SQLite, real sandbox, paper's policy.

Arguments: URL, tasks, rounds, actions per step, test tasks (scored beside the last step).
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from funcforge.adapters.config.load import load_config
from funcforge.adapters.loop import run_loop
from funcforge.adapters.models.loading import load_litellm
from funcforge.adapters.wiring import open_training

CONFIG = """
name = "training-speed"
[agent]
model = "openai/gpt-4o-mini"
python = false
answer = "boxed"
reply_tokens = 256
[optimizer]
model = "openai/gpt-4o-mini"
actions_per_step = {actions}
[tasks]
path = "tasks.jsonl"
train = {tasks}
{test}
[scorer]
kind = "exact"
[training]
acceptance = "paper"
epochs = {rounds}
patience = {patience}
test_beside = true
[limits]
in_flight = 512
[models."openai/gpt-4o-mini"]
base_url = "{url}"
context_tokens = 1000000
"""


async def main() -> None:
    """Train."""
    url = sys.argv[1]
    tasks, rounds, actions, test = map(int, sys.argv[2:6])
    questions = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = (
            json.dumps({"id": f"t{at:05d}", "prompt": prompt, "target": "42"})
            for at, prompt in enumerate(questions[: tasks + test])
        )
        (folder / "tasks.jsonl").write_text("\n".join(lines) + "\n")
        text = CONFIG.format(
            url=url,
            tasks=tasks,
            test=f"test = {test}" if test else "",
            actions=actions,
            rounds=rounds,
            patience=rounds - 1,
        )
        (folder / "train.toml").write_text(text)
        config = load_config(folder / "train.toml", overrides=[f"store.path={folder / 'runs.db'}"])
        load_litellm()  # imports are timed in no arm
        async with open_training(config) as run:
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            outcome = await run.wait()
            wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        assert outcome.value is not None, outcome
        told = {
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "steps": outcome.value.progress.step,
            "stopped_by": outcome.value.progress.stopped_by,
            "phases": _phases(folder / "runs.db"),
            "calls": _calls(folder / "runs.db"),
        }
    print(json.dumps(told), flush=True)


def _calls(database: Path) -> list[tuple[str, float, float]]:
    """Return each call's phase, and when it was sent and answered since the first one was sent."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT coalesce(e.evaluation, c.scope), c.at_unix_s - c.latency_s, c.at_unix_s "
            "FROM calls c LEFT JOIN episodes e ON e.run_id = c.run_id AND e.episode_id = c.scope"
        ).fetchall()
    connection.close()
    first = min(sent for _, sent, _ in rows)
    return [(phase, sent - first, answered - first) for phase, sent, answered in rows]


def _phases(database: Path) -> list[tuple[str, float, float, float, int]]:
    """Return each phase with its begin, end, longest chain of calls, and number of calls.

    A step's calls follow one another; of an evaluation, the calls of each episode do.
    """
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT coalesce(e.evaluation, c.scope), min(c.at_unix_s - c.latency_s), "
            "max(c.at_unix_s), sum(c.latency_s), count(*) "
            "FROM calls c LEFT JOIN episodes e ON e.run_id = c.run_id AND e.episode_id = c.scope "
            "GROUP BY c.scope"
        ).fetchall()
    connection.close()
    found: dict[str, tuple[float, float, float, int]] = {}
    for phase, begin, end, chain, count in rows:
        begin0, end0, chain0, count0 = found.get(phase, (begin, end, 0.0, 0))
        found[phase] = (
            min(begin, begin0), max(end, end0), max(chain, chain0), count + count0,
        )  # fmt: skip
    first = min(begin for begin, *_ in found.values())
    return sorted(
        ((name, b - first, e - first, chain, n) for name, (b, e, chain, n) in found.items()),
        key=lambda row: row[1],
    )


if __name__ == "__main__":
    run_loop(main)
