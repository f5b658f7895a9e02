"""A tiny transformer with its own tokenizer, from random weights, in a folder.

Imports torch: only for a process of its own, `python -m tests.tiny.model FOLDER SEED`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.tiny.world import SKILLS, TOOLS, tasks

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


def build(folder: Path, seed: int, *, hidden: int = 64, layers: int = 2) -> None:
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


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
