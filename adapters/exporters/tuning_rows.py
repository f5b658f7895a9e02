"""Tuning examples and pairs as rows of JSONL: OpenAI's chat form, and TRL's conversational one.

| form | row | what is learned |
| --- | --- | --- |
| `sft` | `messages`, `tools`; `weight` 0 or 1 on each turn | turns of weight 1 |
| `sft-trl` | `prompt`, `completion`, `tools` | turns in `completion`: `assistant_only_loss` |
| `preferences` | `input`, `preferred_output`, `non_preferred_output` | the two turns |
| `preferences-trl` | `prompt`, `chosen`, `rejected`, `tools` | the two turns |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...engine.messages import Message, Tool
from ...engine.tuning_sets import TuningExample, TuningPair, readable_arguments
from ..models.chat import chat_message, chat_tools

Row = dict[str, Any]


def openai_example(example: TuningExample) -> Row:
    """Return an example as a row for a provider's fine-tuning service."""
    messages = [_weighted(message, 0) for message in example.prompt]
    messages += [_weighted(message, 1) for message in example.completion]
    return {"messages": messages, **_openai_tools(example.tools)}


def trl_example(example: TuningExample) -> Row:
    """Return an example as a row for TRL's `SFTTrainer`."""
    names = _call_names((*example.prompt, *example.completion))
    return {
        "prompt": [_trl_message(message, names) for message in example.prompt],
        "completion": [_trl_message(message, names) for message in example.completion],
        "tools": chat_tools(example.tools),
    }


def openai_pair(pair: TuningPair) -> Row:
    """Return a pair as a row for a provider's preference fine-tuning (DPO)."""
    return {
        "input": {
            "messages": [chat_message(message) for message in pair.prompt],
            **_openai_tools(pair.tools),
        },
        "preferred_output": [chat_message(pair.chosen)],
        "non_preferred_output": [chat_message(pair.rejected)],
    }


def trl_pair(pair: TuningPair) -> Row:
    """Return a pair as a row for TRL's `DPOTrainer`."""
    names = _call_names(pair.prompt)
    return {
        "prompt": [_trl_message(message, names) for message in pair.prompt],
        "chosen": [_trl_message(pair.chosen, names)],
        "rejected": [_trl_message(pair.rejected, names)],
        "tools": chat_tools(pair.tools),
    }


EXAMPLE_FORMS: Mapping[str, Callable[[TuningExample], Row]] = {
    "sft": openai_example,
    "sft-trl": trl_example,
}
PAIR_FORMS: Mapping[str, Callable[[TuningPair], Row]] = {
    "preferences": openai_pair,
    "preferences-trl": trl_pair,
}
TUNING_FORMS = (*EXAMPLE_FORMS, *PAIR_FORMS)


def trl_messages(messages: Sequence[Message]) -> list[Row]:
    """Return a conversation as chat templates of open models take it."""
    names = _call_names(messages)
    return [_trl_message(message, names) for message in messages]


def _weighted(message: Message, weight: int) -> Row:
    row = chat_message(message)
    if message.role == "assistant":
        row["weight"] = weight
    return row


def _openai_tools(tools: Sequence[Tool]) -> Row:
    # both keys are refused where there are no tools
    return {"tools": chat_tools(tuple(tools)), "parallel_tool_calls": True} if tools else {}


def _call_names(messages: Sequence[Message]) -> Mapping[str, str]:
    return {call.id: call.name for message in messages for call in message.tool_calls}


def _trl_message(message: Message, names: Mapping[str, str]) -> Row:
    """Return a message with arguments as objects and results by name: templates want it so."""
    row = chat_message(message)
    row.setdefault("content", "")
    for call in row.get("tool_calls", ()):
        del call["id"]
        values = readable_arguments(call["function"]["arguments"])
        if values is not None:
            call["function"]["arguments"] = values
    if message.role == "tool":
        del row["tool_call_id"]
        row["name"] = names.get(message.tool_call_id or "", "tool")
    return row
