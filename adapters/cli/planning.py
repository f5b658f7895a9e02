"""The command `plan`: what true gain a config can find, before anything is paid for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Config, load_config
from .output import DONE, print_json, show

if TYPE_CHECKING:
    from ...engine.acceptances.climbing import Climbing


def plan(config: Path, overrides: Sequence[str], *, episodes: int | None, as_json: bool) -> int:
    """Say what the configured tasks, repeats and budget can detect.

    Raises:
        ConfigError: The config or a task file is wrong.
    """
    from ...engine.power import plan as estimate

    settings = load_config(config, overrides=overrides)
    tasks = _deciding_tasks(settings)
    steps = settings.training.epochs + settings.training.patience
    budget = episodes or settings.budget.calls or _policy_budget(settings, steps)
    found = estimate(
        tasks=tasks,
        repeats=settings.training.repeats,
        budget=budget,
        alpha=settings.training.alpha,
        steps=steps,
        climb=_climb(settings),
    )
    if as_json:
        print_json({"tasks": tasks, "steps": steps, "episodes": budget, **asdict(found)})
    else:
        show(found.message)
    return DONE


def undecidable(config: Config) -> str | None:
    """Return why the configured cap lets no proposal be accepted; None where it may.

    Every episode takes a call at least. Asked before a training starts.
    """
    calls, training = config.budget.calls, config.training
    if calls is None:
        return None
    from ..parts import ALPHA_POLICIES

    if training.acceptance not in ALPHA_POLICIES:
        return None
    from ...engine.power import plan as estimate

    climb = _climb(config)
    # a climb may prove its first step
    steps = 1 if climb else training.epochs + training.patience
    found = estimate(
        tasks=2, repeats=1, budget=calls, alpha=training.alpha, steps=steps, climb=climb
    )
    if found.decides:
        return None
    over = "" if climb else f" over {steps} steps"
    return (
        f"budget.calls = {calls} cannot reach a decision under {training.acceptance!r} at alpha ="
        f" {training.alpha}{over}: nothing will be accepted. `funcforge plan CONFIG"
        " --episodes N` says what N would find"
    )


def _deciding_tasks(config: Config) -> int:
    from ..parts import load_tasks

    splits = load_tasks(config)
    deciding = splits.validation if config.training.accept_on == "validation" else splits.train
    assert deciding is not None  # the config was loaded for training
    return min(len(deciding), config.training.batch_size or len(deciding))


def _climb(config: Config) -> Climbing | None:
    """Return the policy where it climbs."""
    from ...engine.acceptances.climbing import Climbing
    from ..parts import make_acceptance

    made = make_acceptance(config)
    return made if isinstance(made, Climbing) else None


def _policy_budget(config: Config, steps: int) -> int:
    """Return what the sequential policy may take where no cap says less, both sides."""
    if (climb := _climb(config)) is not None:
        return steps * climb.screen + math.ceil(climb.longest * (1 + climb.ratio))
    gain = float(config.training.acceptance_options.get("gain", 0.1))
    return math.ceil(steps * 4 / gain**2 / 0.8)
