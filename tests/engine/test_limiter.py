from __future__ import annotations

import asyncio
import collections
import random
from collections.abc import Awaitable, Callable

import anyio
import pytest
from funcforge.engine.limiter import Limiter, RateLimits

from tests.simulation.loop import VirtualClock, VirtualLoop


class Provider:
    """Takes `concurrent` calls at once and `per_minute` in any minute; answers after a while."""

    def __init__(
        self, clock: VirtualClock, *, concurrent: int, per_minute: float, latency_s: float = 1.0
    ) -> None:
        self.answered = 0
        self.refused_s: list[float] = []
        self.peak = 0
        self.sent_s: list[float] = []
        self._clock = clock
        self._concurrent = concurrent
        self._per_minute = per_minute
        self._latency_s = latency_s
        self._in_flight = 0
        self._window: collections.deque[float] = collections.deque()

    @property
    def refused(self) -> int:
        return len(self.refused_s)

    async def call(self) -> float | None:
        """Return the latency, or None for a 429."""
        now_s = self._clock.monotonic_s()
        while self._window and self._window[0] <= now_s - 60:
            self._window.popleft()
        if self._in_flight >= self._concurrent or len(self._window) >= self._per_minute:
            self.refused_s.append(now_s)
            return None
        self._window.append(now_s)
        self.sent_s.append(now_s)
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)
        await anyio.sleep(self._latency_s)
        self._in_flight -= 1
        self.answered += 1
        return self._latency_s


class SmoothProvider(Provider):
    """Takes `per_minute` calls evenly, and a second's worth at once, as providers do."""

    _level = 1e9  # full, to begin with
    _at_s = 0.0

    async def call(self) -> float | None:
        now_s = self._clock.monotonic_s()
        per_s = self._per_minute / 60
        self._level = min(per_s, self._level + (now_s - self._at_s) * per_s)
        self._at_s = now_s
        if self._level < 1:
            self.refused_s.append(now_s)
            return None
        self._level -= 1
        self._window.clear()
        return await super().call()


def simulate(scenario: Callable[[VirtualClock], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        runner.run(scenario(VirtualClock(loop)))  # type: ignore[arg-type]


async def drive(
    limiter: Limiter, provider: Provider, *, workers: int, calls: int, retry_after_s: float | None
) -> None:
    left = calls

    async def work() -> None:
        nonlocal left
        while left > 0:
            async with limiter.account("a").permit(100) as permit:
                latency_s = await provider.call()
                if latency_s is None:
                    permit.refused(retry_after_s)
                else:
                    left -= 1
                    permit.answered(latency_s)
            if latency_s is None:
                await anyio.sleep(1.0)

    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(work)


def test_a_known_rate_is_used_to_at_least_ninety_percent_with_few_refusals() -> None:
    async def scenario(clock: VirtualClock) -> None:
        provider = Provider(clock, concurrent=30, per_minute=600)
        limits = RateLimits(in_flight=256, requests_per_minute=600)
        limiter = Limiter(limits, clock=clock)

        await drive(limiter, provider, workers=200, calls=3000, retry_after_s=None)

        warm = [at_s for at_s in provider.sent_s if at_s > 30]
        rate = (len(warm) - 1) / (warm[-1] - warm[0]) * 60
        assert rate >= 0.9 * 600
        assert provider.refused <= 0.02 * provider.answered

    simulate(scenario)


def test_an_unknown_concurrency_is_found_with_few_refusals() -> None:
    async def scenario(clock: VirtualClock) -> None:
        provider = Provider(clock, concurrent=30, per_minute=1e9)
        limiter = Limiter(RateLimits(in_flight=256), clock=clock)

        await drive(limiter, provider, workers=200, calls=6000, retry_after_s=None)

        warm = [at_s for at_s in provider.sent_s if at_s > 30]
        rate = (len(warm) - 1) / (warm[-1] - warm[0])
        assert rate >= 0.75 * 30  # 30 at once, a second each
        assert provider.refused <= 0.02 * provider.answered

    simulate(scenario)


@pytest.mark.parametrize("latency_s", [0.3, 2.0])
@pytest.mark.parametrize("retry_after_s", [1.0, None])
def test_an_unknown_rate_is_found_with_few_refusals(
    latency_s: float, retry_after_s: float | None
) -> None:
    async def scenario(clock: VirtualClock) -> None:
        provider = SmoothProvider(clock, concurrent=30, per_minute=600, latency_s=latency_s)
        limiter = Limiter(RateLimits(in_flight=256), clock=clock)

        await drive(limiter, provider, workers=200, calls=3000, retry_after_s=retry_after_s)

        warm = [at_s for at_s in provider.sent_s if at_s > 30]
        rate = (len(warm) - 1) / (warm[-1] - warm[0]) * 60
        assert rate >= 0.9 * 600
        assert sum(at_s > 30 for at_s in provider.refused_s) <= 0.02 * len(warm)

    simulate(scenario)


@pytest.mark.parametrize(("share", "seconds"), [(0.02, 120), (0.05, 250), (0.1, 300)])
def test_refusals_at_random_do_not_slow_it_down_for_good(share: float, seconds: float) -> None:
    async def scenario(clock: VirtualClock) -> None:
        limiter = Limiter(RateLimits(in_flight=64), clock=clock)
        rng = random.Random(1)
        left = 4000

        async def work() -> None:
            nonlocal left
            while left > 0:
                async with limiter.account("a").permit(100) as permit:
                    if rng.random() < share:  # whatever the rate
                        permit.refused(None)
                        continue
                    await anyio.sleep(0.4)
                    left -= 1
                    permit.answered(0.4)

        async with anyio.create_task_group() as group:
            for _ in range(64):
                group.start_soon(work)

        assert clock.monotonic_s() < seconds  # 25 s were there no refusals

    simulate(scenario)


@pytest.mark.parametrize(
    ("in_flight", "windows"),
    [(64, (16, 32, 64)), (512, (64, 128, 256, 512)), (4, (4, 4))],
)
def test_it_starts_politely_and_reaches_its_limit_fast(
    in_flight: int, windows: tuple[int, ...]
) -> None:
    async def scenario(clock: VirtualClock) -> None:
        provider = Provider(clock, concurrent=10_000, per_minute=1e9)
        limiter = Limiter(RateLimits(in_flight=in_flight), clock=clock)

        await drive(limiter, provider, workers=600, calls=6 * in_flight, retry_after_s=None)

        first_second = [at_s for at_s in provider.sent_s if at_s < 1.0]
        assert len(first_second) == windows[0]
        assert provider.peak == in_flight
        reached = sum(1 for at_s in provider.sent_s if at_s < len(windows) - 0.5)
        assert reached >= sum(windows)

    simulate(scenario)


def test_a_moment_in_which_this_process_stands_still_is_no_rising_latency() -> None:
    async def scenario(clock: VirtualClock) -> None:
        account = Limiter(RateLimits(in_flight=128), clock=clock).account("a")

        async def call(at: int) -> None:
            async with account.permit(1) as permit:
                sent_s = clock.monotonic_s()
                ends_s = sent_s + 0.2
                # all that is in flight between 3 and 6 seconds is seen when that is over
                await anyio.sleep((6.0 if 3.0 <= ends_s < 6.0 else ends_s) - sent_s)
                permit.answered(clock.monotonic_s() - sent_s)

        async with anyio.create_task_group() as group:
            for at in range(6_000):
                group.start_soon(call, at)

        assert clock.monotonic_s() > 6.0
        assert account.view.limit == 128
        assert account.view.reason == "slow start"

    simulate(scenario)


def test_retry_after_is_honoured_by_every_call_of_the_account() -> None:
    async def scenario(clock: VirtualClock) -> None:
        limiter = Limiter(clock=clock)
        async with limiter.account("a").permit(1) as permit:
            permit.refused(7.0)

        async with limiter.account("a").permit(1) as permit:
            assert clock.monotonic_s() >= 7.0
            permit.answered(0.1)
        async with limiter.account("other").permit(1) as permit:
            permit.answered(0.1)

    simulate(scenario)


def test_a_limit_that_lifts_lets_no_convoy_through() -> None:
    async def scenario(clock: VirtualClock) -> None:
        provider = Provider(clock, concurrent=10_000, per_minute=1e9, latency_s=0.01)
        limiter = Limiter(RateLimits(in_flight=256, requests_per_minute=600), clock=clock)
        async with limiter.account("a").permit(1) as permit:
            permit.refused(10.0)

        await drive(limiter, provider, workers=200, calls=200, retry_after_s=None)

        at_once = collections.Counter(round(at_s, 1) for at_s in provider.sent_s)
        assert max(at_once.values()) <= 6  # half a second's worth at 10 a second, plus one

    simulate(scenario)


def test_tokens_per_minute_are_kept() -> None:
    async def scenario(clock: VirtualClock) -> None:
        provider = Provider(clock, concurrent=10_000, per_minute=1e9, latency_s=0.1)
        limiter = Limiter(RateLimits(in_flight=64, tokens_per_minute=60_000), clock=clock)

        await drive(limiter, provider, workers=64, calls=300, retry_after_s=None)

        seconds = provider.sent_s[-1] - provider.sent_s[0]
        assert seconds == pytest.approx(len(provider.sent_s) * 100 / 1000, rel=0.1)

    simulate(scenario)


def test_rising_latency_lowers_the_limit() -> None:
    async def scenario(clock: VirtualClock) -> None:
        limiter = Limiter(RateLimits(in_flight=64), clock=clock)
        account = limiter.account("a")

        async def call(latency_s: float) -> None:
            async with account.permit(1) as permit:
                await anyio.sleep(latency_s)
                permit.answered(latency_s)

        async def many(latency_s: float) -> None:
            async with anyio.create_task_group() as group:
                for _ in range(400):
                    group.start_soon(call, latency_s)

        await many(0.2)
        before = account.view.limit
        await many(2.0)

        assert before == 64
        assert account.view.limit < 32
        assert account.view.reason in {"latency rises", "probing for more"}

    simulate(scenario)


@pytest.mark.parametrize("seed", range(5))
def test_replies_of_different_length_are_no_rising_latency(seed: int) -> None:
    async def scenario(clock: VirtualClock) -> None:
        account = Limiter(RateLimits(in_flight=256), clock=clock).account("a")
        rng = random.Random(seed)

        async def call() -> None:
            async with account.permit(10) as permit:
                latency_s = rng.expovariate(1.0)  # a third of them under 0.4 s, some over 4 s
                await anyio.sleep(latency_s)
                permit.answered(latency_s)

        async with anyio.create_task_group() as group:
            for _ in range(2_000):
                group.start_soon(call)

        assert account.view.limit == 256
        assert account.view.reason == "slow start"

    simulate(scenario)


def test_tokens_that_a_call_did_not_use_are_used_by_others() -> None:
    async def scenario(clock: VirtualClock) -> None:
        limiter = Limiter(RateLimits(in_flight=64, tokens_per_minute=60_000), clock=clock)

        async def call() -> None:
            async with limiter.account("a").permit(5_000) as permit:
                await anyio.sleep(2)
                permit.answered(2, 500)

        async with anyio.create_task_group() as group:
            for _ in range(400):
                group.start_soon(call)

        # 400 calls of 500 tokens at 1,000 a second
        assert 0.95 * 200 <= clock.monotonic_s() <= 1.15 * 200 + 2

    simulate(scenario)


def test_limits_are_said_of_a_provider_of_its_host_or_of_one_account() -> None:
    known = {
        "openai": RateLimits(in_flight=1),
        "openai@proxy:80/v1": RateLimits(in_flight=2),
        "openai@proxy:80/v1#beef": RateLimits(in_flight=3),
    }
    limiter = Limiter(RateLimits(in_flight=9), known)

    names = ["openai#cafe", "openai@proxy:80/v1#cafe", "openai@proxy:80/v1#beef", "anthropic#cafe"]
    assert [limiter.account(name).view.limit for name in names] == [1, 2, 3, 9]
