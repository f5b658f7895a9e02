"""What a training does, beside what its parts are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .stopping import Stopping

Feedback = Literal["score", "comment", "target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What a training does, beside what its parts are."""

    optimizer_model: str
    seed: int = 0
    stopping: Stopping = field(default_factory=Stopping)
    batch_size: int | None = None  # training tasks a step, sampled anew; None: all of them
    repeats: int = 1  # episodes per task in the first evaluation of the incumbent
    samples: int = 1  # episodes of each training task that the optimizer sees (K)
    candidates: int = 1  # proposals a step; several race each other before one is decided on
    first_lap: int = 16  # episodes of each of them in the first lap of the race
    test_repeats: int = 1
    accept_on: Literal["train", "validation"] = "train"
    feedback: Feedback = "score"  # what the optimizer may read of a task's target
    roll_back: bool = True  # False: the paper's ablation; every proposal becomes the incumbent
    # score the sealed test beside the step that ends the training unless it is accepted: done
    # sooner, and paid for in vain where it is accepted
    test_beside: bool = False
    test_every_version: bool = False  # learning curve on the test set; looks at it, marked so
