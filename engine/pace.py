"""Keeps the arms of a comparison side by side, so that the time of day favours none."""

from __future__ import annotations

import math

import anyio

STALLED_S = 20.0  # an arm that began no episode for so long is not waited for: it may be down
_LOOK_S = 1.0  # how often a waiting arm looks whether another has stalled


class Pace:
    """Lets no arm begin more than `ahead` episodes before the arm that is furthest behind.

    An arm that has ended, or that has stalled, holds nobody up.
    """

    def __init__(self, *, ahead: int) -> None:
        self._ahead = ahead
        self._lanes: list[Lane] = []
        self._moved = anyio.Event()

    def lane(self) -> Lane:
        """Return the place of one more arm. All are made before the first begins."""
        lane = Lane(self)
        self._lanes.append(lane)
        return lane

    async def wait_for_others(self, lane: Lane) -> None:
        """Return when `lane` may begin its next episode."""
        while not lane.ended and lane.begun - self._furthest_behind() >= self._ahead:
            with anyio.move_on_after(_LOOK_S):
                await self._moved.wait()
            lane.alive_s = anyio.current_time()  # it waits for others, it has not stalled

    def tell(self) -> None:
        """Let the waiting arms look again."""
        self._moved.set()
        self._moved = anyio.Event()

    def _furthest_behind(self) -> float:
        since_s = anyio.current_time() - STALLED_S
        going = (lane.begun for lane in self._lanes if not lane.ended and lane.alive_s >= since_s)
        return min(going, default=math.inf)


class Lane:
    """How far one arm is."""

    def __init__(self, pace: Pace) -> None:
        self.begun = 0  # episodes
        self.ended = False
        self.alive_s = anyio.current_time()  # when it last began one
        self._pace = pace
        self._turn = anyio.Lock(fast_acquire=True)  # one worker waits for all of the arm

    async def gate(self) -> None:
        """Wait for the arm's turn to begin an episode."""
        async with self._turn:
            await self._pace.wait_for_others(self)
            self.begun += 1
            self.alive_s = anyio.current_time()
        self._pace.tell()

    def leave(self) -> None:
        """The arm has ended: nobody waits for it any more."""
        self.ended = True
        self._pace.tell()
