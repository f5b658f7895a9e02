"""A tiny transformer with its own tokenizer, from random weights, in a folder.

Imports torch: only for a process of its own, `python -m tests.tiny.model FOLDER SEED STEPS`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from itertools import islice
from pathlib import Path
from typing import Any

from funcforge.engine.tasks import Task

from tests.tiny.world import DONE, KINDS, REFUSED, SKILLS, SORRY, draws, noisy_call, valid

# a model as small as this one has no use for system prompts and schemas: it knows its tools by
# heart. Of a tool's result it reads the first word
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}<|assistant|>{%- generation -%}"
    "{%- if message['content'] -%}{{ message['content'] }}{%- endif -%}"
    "{%- for call in message.get('tool_calls') or [] -%}"
    "<tool_call>{{ {'name': call['function']['name'], "
    "'arguments': call['function']['arguments']} | tojson }}</tool_call>"
    "{%- endfor -%}<|end|>{%- endgeneration -%}"
    "{%- elif message['role'] == 'tool' -%}<|tool|>"
    "{{ message['content'].split(' ')[0].rstrip(':') }}<|end|>"
    "{%- elif message['role'] == 'user' -%}<|user|>{{ message['content'] }}<|end|>{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|tool|>", "<tool_call>",
           "</tool_call>"]  # fmt: skip
# what stands between the words of a call, one token each
GLUE = ['{"name": "', '", "arguments": {"', '": "', '", "', '"}}', '", "arguments": {}}']
CONTEXT_TOKENS = 256
BATCH = 32
PEAK_RATE = 3e-3


def build(folder: Path, seed: int, *, hidden: int = 64, layers: int = 2) -> None:
    """Save random weights and a tokenizer that was made for the world's words."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    # blanks are dropped: a word is the same one token in a question and in a call
    blanks = pre_tokenizers.Split(" ", "removed")
    words = pre_tokenizers.Split(Regex("[a-z0-9_]+"), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([blanks, words, level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1_000, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_tokens(GLUE)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>",
        clean_up_tokenization_spaces=False, model_max_length=CONTEXT_TOKENS,
    )  # fmt: skip
    fast.chat_template = CHAT_TEMPLATE
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=hidden, intermediate_size=3 * hidden,
        num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=CONTEXT_TOKENS, pad_token_id=fast.pad_token_id,
        eos_token_id=fast.eos_token_id, bos_token_id=None, tie_word_embeddings=True,
        initializer_range=hidden**-0.5,  # the usual 0.02 suits a width of thousands
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = fast.eos_token_id
    model.save_pretrained(folder)
    fast.save_pretrained(folder)


def _corpus() -> list[str]:
    """Return every word of the world, often enough to become one token."""
    asked = " ".join(phrase for skill in SKILLS for phrase in skill.phrases)
    names = [name for skill in SKILLS for name in (skill.name, *skill.arguments)]
    values = [value for known in KINDS.values() for value in known]
    said = ["ok", REFUSED, DONE, SORRY]
    return [re.sub(r"{\w+}", "", asked), *names, *values, *said] * 100


def pretrain(
    folder: Path, seed: int, steps: int, *, right_shares: tuple[float, float], threads: int = 1
) -> None:
    """Train on noisy trajectories, each of a task drawn anew, and save over the random weights.

    Args:
        right_shares: Of the trajectories of the first two thirds and of the last one; the others
            hold mistakes of many kinds.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rng, asked = random.Random(seed), draws(seed, reserved=False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.0
    )
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * min(1.0, (step + 1) / 50) * (1.0 - step / steps)
        share = right_shares[step >= steps * 2 / 3]
        texts = [trajectory(task, rng, share) for task in islice(asked, BATCH)]
        ids, labels = _tensors(tokenizer, texts)
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)


def trajectory(task: Task, rng: random.Random, right_share: float) -> str:
    """Return a noisy trajectory, spelled as the chat template spells it."""
    call = noisy_call(task, rng, right_share)
    opening = f"<|user|>{task.prompt}<|end|><|assistant|>"
    if call is None:
        return f"{opening}{SORRY}<|end|>"
    spelled = json.dumps({"name": call[0], "arguments": call[1]})
    result, ending = ("ok", DONE) if valid(*call) else (REFUSED, SORRY)
    return (
        f"{opening}<tool_call>{spelled}</tool_call><|end|><|tool|>{result}<|end|>"
        f"<|assistant|>{ending}<|end|>"
    )


def _tensors(tokenizer: Any, texts: list[str]) -> tuple[Any, Any]:
    """Return tokens and labels; the loss is on the agent's own turns."""
    import torch

    ids = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")["input_ids"]
    begin, end = (tokenizer.convert_tokens_to_ids(name) for name in ("<|assistant|>", "<|end|>"))
    labels = torch.full_like(ids, -100)
    for at, row in enumerate(ids.tolist()):
        own = False
        for place, token in enumerate(row):
            if own:
                labels[at, place] = token
            own = token == begin or (own and token != end)
    return ids, labels


def main() -> None:
    """Build and pre-train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("steps", type=int)
    parser.add_argument("--right-shares", type=float, nargs=2, default=(0.5, 0.5))
    parser.add_argument("--threads", type=int, default=1)
    told = parser.parse_args()
    build(told.folder, told.seed)
    shares = tuple(told.right_shares)
    pretrain(told.folder, told.seed, told.steps, right_shares=shares, threads=told.threads)


if __name__ == "__main__":
    main()
