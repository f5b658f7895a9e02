"""AG2's AgentOptimizer, driven as its notebook drives it: solve all, record all, step.

Arguments: URL, tasks, rounds, actions per step, whether the last proposal is evaluated too (ours
is).
"""

from __future__ import annotations

import json
import sys
import time

from autogen import AssistantAgent, UserProxyAgent
from autogen.agentchat.contrib.agent_optimizer import AgentOptimizer

KEY, MODEL = "key-of-the-benchmark", "gpt-4o-mini"


def main() -> None:
    """Train."""
    url, tasks, rounds, actions, last = sys.argv[1], *map(int, sys.argv[2:6])
    questions = json.load(sys.stdin)[:tasks]
    config = {
        "config_list": [{"model": MODEL, "api_key": KEY, "base_url": url, "price": [0.0, 0.0]}],
        "cache_seed": None,
        "max_tokens": 256,
    }
    assistant = AssistantAgent(
        "assistant", system_message="You are a helpful assistant.", llm_config=config
    )
    user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    optimizer = AgentOptimizer(
        max_actions_per_step=actions, llm_config=config, optimizer_model=MODEL
    )
    round_s: list[float] = []
    step_s: list[float] = []

    def evaluate() -> None:
        started_s = time.perf_counter()
        for question in questions:
            user.initiate_chat(
                assistant, message=question, max_turns=1, silent=True, clear_history=True
            )
            history = assistant.chat_messages[user]
            optimizer.record_one_conversation(
                list(history), is_satisfied="42}" in str(history[-1]["content"])
            )
        round_s.append(time.perf_counter() - started_s)

    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for _ in range(rounds):
        evaluate()
        started_s = time.perf_counter()
        for_model, for_executor = optimizer.step()
        for item in for_model:
            assistant.update_function_signature(**item)
        if for_executor:
            user.register_function(function_map=for_executor)
        step_s.append(time.perf_counter() - started_s)
    if last:
        evaluate()
    told = {
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "round_s": round_s,
        "step_s": step_s,
    }
    print("\n" + json.dumps(told), flush=True)


main()
