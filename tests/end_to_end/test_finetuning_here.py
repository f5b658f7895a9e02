"""A true fine-tuning loop without gold, on this machine: the shorter form of its benchmark.

The whole one, two iterations, three seeds, and selection by chance: `benchmarks/finetuning.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from funcforge.adapters.local.process import missing_packages

from benchmarks.finetuning import prepare, rise, train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing_packages()), reason=f"not installed: {', '.join(missing_packages())}"
    ),
]

SEED = 100
SIZES = {"train": 120, "validation": 20, "test": 200}


async def test_a_pretrained_model_calls_better_once_tuned_on_what_a_critic_chose(
    tmp_path: Path,
) -> None:
    # few steps and few samples: it is quicker to teach copying first, and mistakes then
    prepare(tmp_path, SEED, SIZES, 360, right_shares=(0.95, 0.3))

    trial = await train(
        tmp_path, "critic", SEED,
        finetune={"epochs": 10},
        selection={"strategy": "threshold", "minimum": 0.9},
        training={"batch_size": 0, "samples": 6, "steps": 1, "test_every_version": False},
    )  # fmt: skip

    before, after = trial.gold(0), trial.gold(1)
    assert len(trial.examples) == 1
    assert trial.examples[0] > 30
    assert trial.examples_right[0] > before + 0.3  # the critic chose well, without gold
    assert trial.critic[1] > trial.critic[0] + 0.03
    # not by how much: other processors round otherwise, and so train another model
    assert after > before, f"p = {rise([trial], 0, 1):.2g}"
