"""How the error budget of a run is spent over its steps."""

from __future__ import annotations

from collections.abc import Sequence

from ..acceptance import Verdict
from ..errors import ConfigError


def check_budget(alpha: float, steps: int) -> None:
    """Refuse an error budget that cannot be one.

    Raises:
        ConfigError: `alpha` is not in (0, 1), or `steps` is below 1.
    """
    if not 0.0 < alpha < 1.0:
        raise ConfigError(f"{alpha!r} is not in (0, 1)", key="acceptance.alpha")
    if steps < 1:
        raise ConfigError(f"{steps!r} is below 1", key="acceptance.steps")


def unspent(steps: int, earlier: Sequence[Verdict]) -> float:
    """Return the share of a run's error budget that its rejected proposals have left.

    Each costs 1 / steps; from the last planned one on, half of what is left.
    """
    left = 1.0
    for index in range(_rejected(earlier)):
        left -= left / max(steps - index, 2)
    return left


def step_alpha(alpha: float, steps: int, earlier: Sequence[Verdict]) -> float:
    """Return what the next test may spend of the run's `alpha`.

    Every proposal that is not accepted costs alpha / steps; from the last planned one on, half of
    what is left. An accepted proposal gives its share back. The chance that a run accepts
    anything that is not better stays under alpha: up to and including the first false
    acceptance, the shares of the rejected steps and of the present one sum to at most alpha.

    Source: the union bound; giving back what a true rejection spent follows Holm (1979) and
    Burman et al. (2009), "A recycling framework for the construction of Bonferroni-based multiple
    tests".
    """
    return alpha * unspent(steps, earlier) / max(steps - _rejected(earlier), 2)


def _rejected(earlier: Sequence[Verdict]) -> int:
    return sum(not verdict.accepted for verdict in earlier)


def stake(steps: int, earlier: Sequence[Verdict]) -> float:
    """Return the share of the wealth left that a gambler bets on the next proposal.

    A little more than equal shares of the planned steps: what a lost bet leaves is bet again.
    """
    return min(0.5, 1.2 / max(steps - _rejected(earlier), 2))
