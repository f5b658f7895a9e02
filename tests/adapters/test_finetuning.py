"""Building the fine-tuning optimizer from a config: what does not fit together is named."""

from __future__ import annotations

from typing import Any

import pytest
from funcforge.adapters.config import Config
from funcforge.adapters.finetuning import make_finetune_optimizer
from funcforge.engine.errors import ConfigError


def config(**sections: dict[str, Any]) -> Config:
    return Config.model_validate(
        {
            "agent": {"model": "openai/gpt-4o-mini"},
            "optimizer": {"kind": "finetune"},
            "tasks": {"path": "tasks.jsonl", "train": 20},
            **sections,
        }
    )


@pytest.mark.parametrize(
    ("sections", "key", "message"),
    [
        ({"finetune": {"learn": "preferences"}}, "selection.strategy", 'needs .* "margin"'),
        (
            {
                "finetune": {"learn": "preferences", "general": "general.jsonl"},
                "selection": {"strategy": "margin"},
            },
            "finetune.general",
            "no preferences",
        ),
        ({"finetune": {"pairwise": True}}, "finetune.pairwise", 'learn = "preferences"'),
        (
            {
                "finetune": {"learn": "preferences", "pairwise": True},
                "selection": {"strategy": "margin"},
            },
            "finetune.pairwise",
            r"a \[critic\]",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(
    sections: dict[str, Any], key: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        make_finetune_optimizer(config(**sections))

    assert error.value.key == key
