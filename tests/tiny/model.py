"""A tiny transformer with its own tokenizer, from random weights, in a folder.

Imports torch: only for a process of its own, `python -m tests.tiny.model FOLDER SEED STEPS`.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from funcforge.engine.tasks import Task

from tests.tiny.world import SKILLS, TOOLS, noisy_call, tasks

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}<|assistant|>{%- generation -%}"
    "{%- if message['content'] -%}{{ message['content'] }}{%- endif -%}"
    "{%- for call in message.get('tool_calls') or [] -%}"
    "<tool_call>{{ {'name': call['function']['name'], "
    "'arguments': call['function']['arguments']} | tojson }}</tool_call>"
    "{%- endfor -%}<|end|>{%- endgeneration -%}"
    "{%- else -%}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>",
           "<tool_call>", "</tool_call>"]  # fmt: skip


def build(folder: Path, seed: int, *, hidden: int = 64, layers: int = 3) -> None:
    """Save random weights and a tokenizer that was made for the world's words."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    # words apart from the blanks before them: a word is the same token in a question and a call
    words = pre_tokenizers.Split(Regex("[a-z0-9_]+"), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(_corpus(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>",
        clean_up_tokenization_spaces=False, model_max_length=256,
    )  # fmt: skip
    fast.chat_template = CHAT_TEMPLATE
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=hidden, intermediate_size=3 * hidden,
        num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=256, pad_token_id=fast.pad_token_id,
        eos_token_id=fast.eos_token_id, bos_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = fast.eos_token_id
    model.save_pretrained(folder)
    fast.save_pretrained(folder)


def _corpus() -> list[str]:
    texts = [f"{task.prompt} {task.target}" for task in tasks(400, 0)]
    values = [value for skill in SKILLS for known in skill.arguments.values() for value in known]
    return [
        *texts,
        *(f'"{value}" {value}' for value in values),
        json.dumps([t.name for t in TOOLS]),
    ]


# right calls among the trajectories, and for what part of the training: copying words out of a
# question is learned among few mistakes, then the mistakes
PHASES = ((0.95, 0.75), (0.5, 0.25))
HELD_OUT = 99  # seed of the tasks that no training of any kind may see


def pretrain(folder: Path, seed: int, steps: int, *, held_out: int = 200) -> None:
    """Train on noisy trajectories, each drawn anew, and save over the random weights."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sealed = {task.id for task in tasks(held_out, HELD_OUT)}
    pool = [task for task in tasks(1_100, seed) if task.id not in sealed]
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    first = round(steps * PHASES[0][1])
    for step in range(steps):
        share = PHASES[0][0] if step < first else PHASES[1][0]
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 50) * (1.0 - step / steps)
        rows = [_tokens(tokenizer, rng.choice(pool), rng, share) for _ in range(64)]
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
        labels = torch.full_like(ids, -100)
        for at, (tokens, start) in enumerate(rows):
            ids[at, : len(tokens)] = torch.tensor(tokens)
            labels[at, start : len(tokens)] = torch.tensor(tokens[start:])
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)


def _tokens(
    tokenizer: Any, task: Task, rng: random.Random, right_share: float
) -> tuple[list[int], int]:
    """One noisy trajectory, and where the agent's own turn begins."""
    name, arguments = noisy_call(task, rng, right_share)
    call = {"type": "function", "function": {"name": name, "arguments": arguments}}
    messages = [
        {"role": "user", "content": task.prompt},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    made = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)
    ids: list[int] = made["input_ids"]
    return ids, ids.index(tokenizer.convert_tokens_to_ids("<|assistant|>")) + 1


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
    pretrain(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
