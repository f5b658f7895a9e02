"""What AG2's optimizer asks in one step on a given history: its own prompts, sent nowhere.

Reads `{"conversations": [[message, ...]], "satisfied": [bool], "replies": [[name, arguments]]}`
from stdin; prints the requests, each as one text: messages, then tools.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from autogen.agentchat.contrib.agent_optimizer import AgentOptimizer


class Recorder:
    """Stands where the optimizer has its client; answers with the replies given."""

    def __init__(self, replies: list[list[str]]) -> None:
        self.asked: list[str] = []
        self._replies = iter(replies)

    def create(self, *, messages: list[dict[str, Any]], tools: Any, **_: Any) -> Any:
        """Note a request down and answer it."""
        text = "".join(message["content"] for message in messages)
        self.asked.append(text + json.dumps(tools))
        name, arguments = next(self._replies)
        call = SimpleNamespace(function=SimpleNamespace(name=name, arguments=arguments))
        message = SimpleNamespace(tool_calls=[call])
        return SimpleNamespace(choices=[SimpleNamespace(message=message)])


def main() -> None:
    """Run one step for each history."""
    asked = []
    for given in json.load(sys.stdin):
        config = {"config_list": [{"model": "gpt-4o-mini", "api_key": "none"}]}
        optimizer = AgentOptimizer(3, llm_config=config, optimizer_model="gpt-4o-mini")
        recorder = Recorder(given["replies"])
        optimizer._client = recorder  # noqa: SLF001  there is no other way in
        for conversation, satisfied in zip(given["conversations"], given["satisfied"], strict=True):
            optimizer.record_one_conversation(conversation, is_satisfied=satisfied)
        optimizer.step()
        asked.append(recorder.asked)
    print("\n" + json.dumps({"asked": asked}))


main()
