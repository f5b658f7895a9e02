"""How many calls a second may leave: as a provider states it, or as its refusals tell."""

from __future__ import annotations

from collections import Counter, deque

BURST_S = 0.5  # how much of a per-minute allowance may be used at once
WINDOW_S = 10.0  # over which the rate that a provider takes is measured
FEWEST = 10  # calls that make a measurement
TOLERANCE = 0.015  # share of refused calls that tells nothing: some providers refuse at random
CAUTION = 0.97  # of what was measured at a refusal
LINEAR_PER_S = 0.002  # growth since the last refusal: slow, while what was measured is near
CUBIC_S = 40.0  # and then faster and faster, should it have been far off
CUBIC_SHARE = 0.3
IN_VAIN = 10  # slow-downs in a row, each before the last one was made up for: the rate is not why
FREE_S = 60.0  # how long the rate is then left alone


class Bucket:
    """A token bucket: `per_minute` units flow in evenly, at most BURST_S worth can wait."""

    def __init__(self, per_minute: float, now_s: float) -> None:
        self._rate = per_minute / 60.0
        self._room = max(1.0, self._rate * BURST_S)
        self._level = self._room
        self._at_s = now_s

    def wait_s(self, units: float, now_s: float) -> float:
        """Return how long until `units` can be taken; more than the room waits for a full one."""
        self._flow(now_s)
        return max(0.0, (min(units, self._room) - self._level) / self._rate)

    def take(self, units: float, now_s: float) -> None:
        """Take units; a request larger than the room leaves a debt behind."""
        self._flow(now_s)
        self._level -= units

    def correct(self, units: float, now_s: float) -> None:
        """Take units that were used beside those taken; where negative, give some back."""
        self._flow(now_s)
        self._level = min(self._room, self._level - units)

    def _flow(self, now_s: float) -> None:
        self._level = min(self._room, self._level + (now_s - self._at_s) * self._rate)
        self._at_s = now_s


class Pace:
    """The rate that an account takes, learned from its refusals. Free until the first one.

    A refusal tells that calls leave too fast, and the calls sent shortly before and not refused
    tell how fast they may. From there the pace rises, at first hardly, so that a provider whose
    rate is fixed refuses one call in some hundreds.

    Source: the rate control of CUBIC (Ha, Rhee, Xu 2008), which grows by the time since the last
    loss; measured throughput stands in the place of its multiplicative decrease.
    """

    def __init__(self) -> None:
        self._sent_s: deque[float] = deque()  # when the calls of the last WINDOW_S were sent
        self._refused_of: Counter[float] = Counter()  # how many of them were refused, by that time
        self._refused = 0  # in all
        self._since = 0  # calls sent since the last slow-down and not refused, or not yet
        self._refusals_s: deque[float] = deque()  # since the last slow-down
        self._first_s: float | None = None
        self._base: float | None = None  # calls per second at the last refusal
        self._refused_s = 0.0
        self._before = 0.0  # calls per second that were believed fine at the last slow-down
        self._in_vain = 0
        self._free_until_s = 0.0
        self._next_s = 0.0  # when the next call may leave

    def per_s(self, now_s: float) -> float | None:
        """Return how many calls a second may leave now; None: as many as like."""
        if self._base is None:
            return None
        since_s = now_s - self._refused_s
        growth = LINEAR_PER_S * since_s + CUBIC_SHARE * (since_s / CUBIC_S) ** 3
        return self._base * (1.0 + growth)

    def wait_s(self, now_s: float) -> float:
        """Return how long until the next call may leave."""
        return 0.0 if self._base is None else max(0.0, self._next_s - now_s)

    def take(self, now_s: float) -> None:
        """Count a call that leaves."""
        self._first_s = now_s if self._first_s is None else self._first_s
        self._sent_s.append(now_s)
        self._since += now_s > self._refused_s
        self._forget(now_s)
        per_s = self.per_s(now_s)
        if per_s is not None:
            # what was not used for a moment is caught up, as far as a burst goes
            self._next_s = max(self._next_s, now_s - BURST_S) + 1.0 / per_s

    def refused(self, sent_s: float, now_s: float) -> bool:
        """Slow down to what the provider took just before, if refusals are more than chance.

        Args:
            sent_s: When the refused call left.
            now_s: Now.

        Returns:
            Whether they are.
        """
        self._forget(now_s)
        if self._sent_s and sent_s >= self._sent_s[0]:
            self._refused_of[sent_s] += 1
            self._refused += 1
            self._since -= sent_s > self._refused_s
        self._refusals_s.append(now_s)
        sent = len(self._sent_s) - self._refused
        if len(self._refusals_s) <= TOLERANCE * (sent + len(self._refusals_s)):
            return False
        span_s = min(WINDOW_S, now_s - (self._first_s or 0.0))
        # calls that left before the last slow-down tell nothing of it
        known = self._base is None or (sent_s > self._refused_s and self._since >= FEWEST)
        if known and sent >= FEWEST and span_s > 0 and now_s >= self._free_until_s:
            self._slow_down(CAUTION * sent / span_s, now_s)
        return True

    def _slow_down(self, per_s: float, now_s: float) -> None:
        now_per_s = self.per_s(now_s)
        self._in_vain = self._in_vain + 1 if now_per_s and now_per_s < self._before else 0
        self._before = now_per_s or per_s
        self._base = per_s
        self._refused_s = now_s
        self._since = 0
        self._refusals_s.clear()
        if self._in_vain >= IN_VAIN:
            # refusals that go on however slowly calls leave: slower and slower helps nobody
            self._base, self._before, self._in_vain = None, 0.0, 0
            self._free_until_s = now_s + FREE_S

    def _forget(self, now_s: float) -> None:
        while self._sent_s and self._sent_s[0] < now_s - WINDOW_S:
            self._forget_call(self._sent_s.popleft())
        while self._refusals_s and self._refusals_s[0] < now_s - WINDOW_S:
            self._refusals_s.popleft()

    def _forget_call(self, sent_s: float) -> None:
        refused = self._refused_of[sent_s]
        if not refused:
            self._since -= sent_s > self._refused_s
            return
        self._refused -= 1
        if refused > 1:
            self._refused_of[sent_s] = refused - 1
        else:
            del self._refused_of[sent_s]
