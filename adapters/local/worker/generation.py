"""Answers requests with a model folder, those that wait together in one batch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria

from .loading import load_model, load_tokenizer
from .tool_calls import read_message
from .wire import Wire

BATCH_WAIT_S = 0.005  # episodes that were answered together come back within this


class SeededSampling(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped here
    """Samples each row by its own seed, prompt and temperature, whoever else is in the batch.

    The most likely of logits / T plus Gumbel noise is a sample of softmax(logits / T).
    """

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._temperatures = [row["temperature"] for row in rows]
        self._generators = [torch.Generator().manual_seed(_own_seed(row)) for row in rows]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores whose maximum is the sample."""
        drawn = []
        for row, generator, temperature in zip(
            scores, self._generators, self._temperatures, strict=True
        ):
            if temperature <= 0:
                drawn.append(row)
                continue
            uniform = torch.rand(row.shape, generator=generator).to(row.device)
            noise = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
            drawn.append(row.float() / temperature + noise)
        return torch.stack(drawn)


class RowLimits(StoppingCriteria):  # type: ignore[misc]
    """Ends each row at its own length or stop text."""

    def __init__(self, rows: Sequence[dict[str, Any]], start: int, tokenizer: Any) -> None:
        self._limits = [row["max_tokens"] for row in rows]
        self._stops = [tuple(row["stop"]) for row in rows]
        self._start = start
        self._tokenizer = tokenizer

    def __call__(self, input_ids: torch.Tensor, scores: Any, **rest: Any) -> torch.Tensor:
        """Say which rows are done."""
        length = input_ids.shape[1] - self._start
        done = [length >= limit or self._stopped(input_ids, at) for at, limit in
                enumerate(self._limits)]  # fmt: skip
        return torch.tensor(done, device=input_ids.device)

    def _stopped(self, input_ids: torch.Tensor, at: int) -> bool:
        if not self._stops[at]:
            return False
        text = self._tokenizer.decode(input_ids[at, self._start :])
        return any(stop in text for stop in self._stops[at])


class Server:
    """Serves one model folder."""

    def __init__(self, wire: Wire, spec: dict[str, Any]) -> None:
        if spec["threads"]:
            torch.set_num_threads(spec["threads"])
        self._wire = wire
        self._batch = spec["batch_size"]
        self._tokenizer = load_tokenizer(spec["model"])
        self._tokenizer.padding_side = "left"
        self._model = load_model(spec["model"]).eval()
        self._ends = _end_tokens(self._model, self._tokenizer)
        # tokenizers claim 1e30 where they know no limit
        limits = [getattr(self._model.config, "max_position_embeddings", None) or 10**9]
        self._context = min([*limits, self._tokenizer.model_max_length])
        wire.tell(event="ready", context_tokens=int(self._context))

    def run(self) -> None:
        """Serve until the parent is gone."""
        while True:
            asked = self._wire.take(self._batch, BATCH_WAIT_S)
            ready = [one for one in asked if self._prepare(one)]
            if ready:
                self._answer(ready)

    def _prepare(self, asked: dict[str, Any]) -> bool:
        try:
            asked["prompt"] = self._tokenizer.apply_chat_template(
                asked["messages"],
                tools=asked["tools"] or None,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
            )["input_ids"]
        except Exception as error:  # a template refuses by raising: an answer to this request
            self._refuse(asked, "bad_request", f"the chat template refuses: {error!s:.300}")
            return False
        if len(asked["prompt"]) + asked["max_tokens"] > self._context:
            self._refuse(
                asked,
                "context_too_long",
                f"{len(asked['prompt'])} tokens and a reply of {asked['max_tokens']} exceed the "
                f"window of {self._context}",
            )
            return False
        return True

    def _refuse(self, asked: dict[str, Any], kind: str, message: str) -> None:
        self._wire.tell(event="refused", id=asked["id"], kind=kind, message=message)

    def _answer(self, rows: list[dict[str, Any]]) -> None:
        started_s = time.monotonic()
        padded = self._tokenizer.pad(
            {"input_ids": [row["prompt"] for row in rows]}, return_tensors="pt"
        ).to(self._model.device)
        start = padded["input_ids"].shape[1]
        with torch.inference_mode():
            made = self._model.generate(
                **padded,
                do_sample=False,
                num_beams=1,
                max_new_tokens=max(row["max_tokens"] for row in rows),
                eos_token_id=sorted(self._ends),
                pad_token_id=self._tokenizer.pad_token_id,
                logits_processor=LogitsProcessorList([SeededSampling(rows)]),
                stopping_criteria=[RowLimits(rows, start, self._tokenizer)],
            )
        for row, ids in zip(rows, made[:, start:].tolist(), strict=True):
            self._tell(row, ids[: row["max_tokens"]], time.monotonic() - started_s)

    def _tell(self, row: dict[str, Any], ids: list[int], elapsed_s: float) -> None:
        ended = next((at for at, one in enumerate(ids) if one in self._ends), None)
        own = ids if ended is None else ids[: ended + 1]
        text = self._tokenizer.decode(own, skip_special_tokens=False)
        for token in sorted(self._ends):
            text = text.removesuffix(self._tokenizer.decode([token]))
        stopped = [at for stop in row["stop"] if (at := text.find(stop)) >= 0]
        if stopped:
            text = text[: min(stopped)]
        content, calls = read_message(self._tokenizer, text, row["tools"])
        self._wire.tell(
            event="reply",
            id=row["id"],
            content=content,
            tool_calls=calls,
            cut_off=ended is None and not stopped,
            prompt_tokens=len(row["prompt"]),
            completion_tokens=len(own),
            elapsed_s=elapsed_s,
        )


def _own_seed(row: dict[str, Any]) -> int:
    """Return the seed of one request: of its seed and its prompt.

    A run sends one seed with every task. Drawn from that alone, all tasks would share their luck.
    """
    told = f"{row['seed']} {row['prompt']}".encode()
    return int.from_bytes(hashlib.sha256(told).digest()[:7], "big")


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end a turn: the tokenizer's, and those of the generation config."""
    ends = model.generation_config.eos_token_id
    found = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}
    return frozenset(one for one in found if one is not None)
