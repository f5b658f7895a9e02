"""Fine-tunes a model folder with TRL: SFT on the agent's own turns, or DPO on pairs of turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback

from .loading import ADAPTER, Unusable, load_model, load_tokenizer
from .wire import Wire

LORA_TARGETS = "all-linear"


class Progress(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Tells the parent how far the training is."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.loss = float("nan")

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Note the loss."""
        self.loss = (logs or {}).get("loss", self.loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Tell the step."""
        loss = None if self.loss != self.loss else self.loss
        self._wire.tell(event="progress", step=state.global_step, steps=state.max_steps, loss=loss)


def tune(wire: Wire, spec: dict[str, Any]) -> None:
    """Train as the spec says, and save to its `out`.

    Raises:
        Unusable: The base model or its chat template cannot be trained so.
    """
    torch.manual_seed(spec["seed"])
    if spec["threads"]:
        torch.set_num_threads(spec["threads"])
    tokenizer = load_tokenizer(spec["base"])
    model = load_model(spec["base"], trainable=True)
    progress = Progress(wire)
    trainer = _trainer(spec, model, tokenizer, progress)
    result = trainer.train()
    trainer.save_model(spec["out"])
    tokenizer.save_pretrained(spec["out"])
    _name_base(spec)
    tokens = int(trainer.state.num_input_tokens_seen or 0)
    wire.tell(
        event="done", tokens=tokens, steps=result.global_step, loss=float(result.training_loss)
    )


def _trainer(spec: dict[str, Any], model: Any, tokenizer: Any, progress: Progress) -> Any:
    common: dict[str, Any] = {
        "output_dir": spec["out"],
        "num_train_epochs": spec["epochs"],
        "learning_rate": spec["learning_rate"],
        "per_device_train_batch_size": spec["batch_size"],
        "max_length": spec["max_length"],
        "seed": spec["seed"],
        "data_seed": spec["seed"],
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "gradient_checkpointing": False,
        "include_num_input_tokens_seen": "all",
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
    }
    peft = None if hasattr(model, "peft_config") else _lora(spec)
    given = {"processing_class": tokenizer, "peft_config": peft, "callbacks": [progress]}
    rows = _rows(spec["data"])
    try:
        if spec["method"] == "dpo":
            from trl import DPOConfig, DPOTrainer

            args = DPOConfig(**common, beta=spec["beta"])
            return DPOTrainer(model=model, args=args, train_dataset=rows, **given)
        from trl import SFTConfig, SFTTrainer

        args = SFTConfig(**common, assistant_only_loss=True, completion_only_loss=True)
        return SFTTrainer(model=model, args=args, train_dataset=rows, **given)
    except (ValueError, RuntimeError) as error:
        raise Unusable(f"TRL cannot train {spec['base']} on this: {str(error)[:500]}") from error


def _rows(path: str) -> Dataset:
    rows = []
    for line in Path(path).read_text("utf-8").splitlines():
        row = json.loads(line)
        # schemas of different tools do not fit one Arrow type: TRL also takes them as text
        rows.append({**row, "tools": json.dumps(row["tools"]) if row.get("tools") else None})
    return Dataset.from_list(rows, on_mixed_types="use_json")


def _lora(spec: dict[str, Any]) -> Any:
    if spec["lora_rank"] is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=spec["lora_rank"],
        lora_alpha=2 * spec["lora_rank"],
        target_modules=LORA_TARGETS,
        task_type="CAUSAL_LM",
    )


def _name_base(spec: dict[str, Any]) -> None:
    """Leave no path of a temporary place in the adapter's config."""
    adapter = Path(spec["out"]) / ADAPTER
    (Path(spec["out"]) / "training_args.bin").unlink(missing_ok=True)  # a pickle
    if adapter.exists() and not (Path(spec["base"]) / ADAPTER).exists():
        config = json.loads(adapter.read_text("utf-8"))
        config["base_model_name_or_path"] = spec["base"]
        adapter.write_text(json.dumps(config, indent=2), "utf-8")
