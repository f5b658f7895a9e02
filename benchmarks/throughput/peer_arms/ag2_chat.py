"""AG2: a user proxy that puts each question to an assistant, one after the other as it does."""

from __future__ import annotations

import time

from autogen import AssistantAgent, UserProxyAgent
from stopwatch import KEY, MODEL, options, question, report


def main() -> None:
    """Measure."""
    given = options()
    config = {
        "config_list": [
            {"model": MODEL, "api_key": KEY, "base_url": given.url, "price": [0.0, 0.0]}
        ],
        "cache_seed": None,
    }
    assistant = AssistantAgent("assistant", llm_config=config)
    user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)

    def ask(number: int) -> object:
        chat = user.initiate_chat(
            assistant, message=question(number), max_turns=1, silent=True, clear_history=True
        )
        return chat.chat_history[-1]["content"]

    ask(0)
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for number in range(given.episodes):
        assert "42" in str(ask(number))
    report(given.episodes, time.perf_counter() - wall_s, time.process_time() - cpu_s)


main()
