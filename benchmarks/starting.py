"""How soon after the command is given is the first view drawn, and the event loop free?

    python -m benchmarks.starting

`funcforge train` under a terminal of its own; when the panel's corner comes out, the clock and
the CPU that the process has used are read. LiteLLM is needed by the run, and loads behind it.
"""

from __future__ import annotations

import json
import os
import platform
import pty
import select
import statistics
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "starting.md"
REPEATS = 7
CORNER = "\u256d".encode()  # of the panel
CONFIG = """
[agent]
model = "openai/gpt-4o-mini"
[tasks]
path = "tasks.jsonl"
train = 20
[models."openai/gpt-4o-mini"]
base_url = "http://127.0.0.1:9/v1"
"""


def first_view(folder: Path) -> tuple[float, float]:
    """Start a training; return wall and CPU seconds until its panel is drawn."""
    began_s = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        environment = os.environ | {"OPENAI_API_KEY": "key-of-the-benchmark", "TERM": "xterm"}
        command = [sys.executable, "-m", "funcforge", "train", "train.toml"]
        os.execve(sys.executable, command, environment)
    drawn = b""
    while CORNER not in drawn:
        ready, _, _ = select.select([terminal], [], [], 30)
        if not ready:
            raise SystemExit(f"no view was drawn: {drawn.decode(errors='replace')[-2000:]}")
        drawn += os.read(terminal, 65_536)
    wall_s, cpu_s = time.monotonic() - began_s, _cpu_s(pid)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    return wall_s, cpu_s


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, print and write the results."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.toml").write_text(CONFIG)
        lines = (json.dumps({"prompt": f"What is {n} + 2?", "target": "4"}) for n in range(20))
        (folder / "tasks.jsonl").write_text("\n".join(lines) + "\n")
        first_view(folder)  # byte code and the disk's cache
        found = [first_view(folder) for _ in range(REPEATS)]
    wall = sorted(one[0] for one in found)
    cpu = sorted(one[1] for one in found)
    text = (
        "# From the command to the first view\n\n"
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}, load average {os.getloadavg()[0]:.1f}. `python -m "
        f"benchmarks.starting`; {REPEATS} starts of `funcforge train` in a terminal, killed when "
        "the panel is there.\n\n"
        f"Wall clock: median {statistics.median(wall):.2f} s ({wall[0]:.2f}-{wall[-1]:.2f}). "
        f"CPU: median {statistics.median(cpu):.2f} s ({cpu[0]:.2f}-{cpu[-1]:.2f}).\n"
    )
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
