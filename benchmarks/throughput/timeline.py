"""What was in flight when, as text: a line for each phase of a training, and the whole below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 72  # columns
_BLOCKS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Call:
    """One model call of a training."""

    phase: str  # step/3, or the evaluation that its episode belongs to
    sent_s: float  # since the first call of all
    answered_s: float


def timeline(calls: Sequence[Call]) -> list[str]:
    """Return the lines, phases in the order in which they began.

    A column is as high as the calls in flight in it, on average, of the most that the phase had.
    """
    end_s = max(call.answered_s for call in calls)
    phases: dict[str, list[Call]] = {}
    for call in sorted(calls, key=lambda call: call.sent_s):
        phases.setdefault(call.phase, []).append(call)
    name_width = max(map(len, phases)) + 2
    lines = [f"{'':{name_width}}0 s{f'{end_s:.1f} s':>{WIDTH - 3}}"]
    for name, own in phases.items():
        drawn, most = _drawn(own, end_s)
        lines.append(f"{name:{name_width}}{drawn}  at most {most}")
    drawn, most = _drawn(calls, end_s)
    lines.append(f"{'all':{name_width}}{drawn}  at most {most}")
    return lines


def idle_s(calls: Iterable[Call]) -> float:
    """Return for how long nothing was in flight between the first call and the last reply."""
    idle, reached = 0.0, 0.0
    for call in sorted(calls, key=lambda call: call.sent_s):
        idle += max(0.0, call.sent_s - reached)
        reached = max(reached, call.answered_s)
    return idle


def _drawn(calls: Sequence[Call], end_s: float) -> tuple[str, int]:
    means = [0.0] * WIDTH
    column_s = end_s / WIDTH
    for call in calls:
        first, last = (min(WIDTH - 1, int(at / column_s)) for at in (call.sent_s, call.answered_s))
        for column in range(first, last + 1):
            begin_s, stop_s = column * column_s, (column + 1) * column_s
            overlap_s = min(stop_s, call.answered_s) - max(begin_s, call.sent_s)
            means[column] += max(0.0, overlap_s) / column_s
    highest = max(means) or 1.0
    last_block = len(_BLOCKS) - 1
    # anything at all is shown
    heights = (0 if mean == 0 else max(1, round(mean / highest * last_block)) for mean in means)
    return "".join(_BLOCKS[height] for height in heights), _most(calls)


def _most(calls: Sequence[Call]) -> int:
    changes = [(call.sent_s, 1) for call in calls] + [(call.answered_s, -1) for call in calls]
    in_flight = most = 0
    for _, change in sorted(changes):
        in_flight += change
        most = max(most, in_flight)
    return most
