"""Loads a model folder: weights in safetensors only, no code of the folder's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ADAPTER = "adapter_config.json"


class Unusable(Exception):
    """The folder holds no model that can be used here. The message says why."""


def load_tokenizer(folder: str) -> Any:
    """Return the tokenizer of a model folder; an adapter's own, or its base's.

    Raises:
        Unusable: There is none, or it has no chat template.
    """
    place = folder if (Path(folder) / "tokenizer_config.json").exists() else base_of(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except Exception as error:
        raise Unusable(f"the tokenizer of {place} cannot be loaded: {_first_line(error)}") from None
    if not tokenizer.chat_template:
        raise Unusable(f"{place} has no chat template: a base model without one is not supported")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: str, *, trainable: bool = False) -> Any:
    """Return the model of a folder; of an adapter's folder, its base with the adapter on it.

    Raises:
        Unusable: There is none, or of no kind that transformers knows.
    """
    base = base_of(folder)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32 if not torch.cuda.is_available() else "auto",
        )
        if base != folder:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    except Exception as error:
        raise Unusable(
            f"{folder} holds no causal language model that can be loaded: {_first_line(error)}"
        ) from None
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def base_of(folder: str) -> str:
    """Return the folder of the base model: the folder itself, unless it holds an adapter.

    Raises:
        Unusable: There is no such folder, or no model in it.
    """
    place = Path(folder)
    if not place.is_dir():
        raise Unusable(f"{folder}: there is no such folder")
    adapter = place / ADAPTER
    if adapter.exists():
        return str(json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"])
    if not (place / "config.json").exists():
        raise Unusable(f"{folder} holds no model: neither config.json nor {ADAPTER} is there")
    return folder


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
