"""What the loopback provider says while whole trainings are compared. Stateless, so it is fair.

As agent it answers at once, rightly for half of the questions. As optimizer it adds a function of
a new name each time, in the spelling of whoever asks. So no set is better than another: every
round of every arm evaluates all tasks and asks for all actions.

Two others: one counts tokens, and one is helped by functions so that there is something to test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from funcforge.adapters.models.loading import load_litellm

from tests.loopback.brains import chance, is_optimizer
from tests.loopback.wire import Ask, Say, call, calls, text


def question(number: int) -> str:
    """Return a question of about 200 characters."""
    return f"Question {number}. " + "A train leaves with 40 people and 12 get off. " * 4


def is_optimizer_of_ag2(ask: Ask) -> bool:
    """Tell AG2's optimizer by its schema: arguments are JSON within a string there."""
    return _argument_type(ask) == "string"


def brain(ask: Ask, *, skill: float = 0.5) -> Say:
    """Answer."""
    if not is_optimizer(ask):
        right = chance(ask.question) < skill
        answer = 42 if right else 41
        return text("The train has 40 people, then some get off. " * 4 + f"\\boxed{{{answer}}}")
    name = f"count_{ask.hash[:10]}"
    schema = {"type": "object", "properties": {"people": {"type": "integer"}}}
    arguments: dict[str, object] = {
        "name": name,
        "description": "Count who is left.",
        "arguments": schema | {"required": ["people"]},
        "packages": [],
        "code": f"def {name}(people: int) -> int:\n    return people - 12\n",
    }
    if is_optimizer_of_ag2(ask):
        arguments |= {"arguments": json.dumps(schema["properties"]), "packages": ""}
    return calls(call("add_function", arguments))


def helped_brain(ask: Ask) -> Say:
    """Answer the same, but rightly for more of the questions once there is any function."""
    return brain(ask, skill=0.8 if ask.tools else 0.5)


def counting_brain(ask: Ask) -> Say:
    """Answer the same; tokens are counted by one tokenizer over the whole body of each request."""
    say = brain(ask)
    said = say.content + "".join(call.name + call.arguments for call in say.calls)
    return replace(say, prompt_tokens=_prompt_tokens(ask.body), completion_tokens=_tokens(said))


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    """Count messages and the functions beside them, in either spelling: providers bill both."""
    tools = (tool["function"] for tool in body.get("tools", ()))
    offered = [*tools, *body.get("functions", ())]
    texts = [json.dumps(one, ensure_ascii=False) for one in offered]
    for message in body["messages"]:
        texts.append(message.get("content") or "")
        texts += [call["function"]["arguments"] for call in message.get("tool_calls") or ()]
    # 4 for each message: its role, and the marks around it
    return sum(map(_tokens, texts)) + 4 * len(body["messages"])


def _tokens(text: str) -> int:
    # cl100k_base, which LiteLLM brings along: nothing is fetched
    return len(load_litellm().encoding.encode(text, disallowed_special=()))


def _argument_type(ask: Ask) -> object:
    for tool in ask.tools:
        if tool.name == "add_function":
            return tool.arguments["properties"]["arguments"].get("type")
    return None
