"""Whether the first API call of an episode is right, by API-Bank's official rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...engine.episode import Episode, FunctionCall, Score
from ...engine.errors import ScorerError
from ...engine.tasks import Task
from ...engine.workspace import PYTHON
from ..environments.api_bank.checkers import correct


async def api_bank(task: Task, episode: Episode) -> Score:
    """Compare the result of the first call, made on fresh databases, with the recorded one.

    Learned functions and Python blocks before it do not count: they are the agent's own means.

    Raises:
        ScorerError: The task has no recorded call, or the episode ran in another environment.
    """
    gold = _gold(task)
    first = next((call for call in episode.calls if _is_api(call)), None)
    if first is None:
        return Score(value=0.0, comment="no API was called")
    if first.name != gold["api_name"]:
        return Score(value=0.0, comment=f"called {first.name}; {gold['api_name']} is right")
    if first.outcome == "refused":
        return Score(value=0.0, comment=f"{first.name} was refused: {first.result}")
    made = _results(task, episode)
    if not made:
        raise ScorerError(f"task {task.id}: the environment kept no result of {first.name}")
    given = made[0]
    if correct(given, gold["result"], gold["api_name"]):
        return Score(value=1.0, comment=f"{first.name} gave the right result")
    wrong = given["exception"] or "its result or arguments differ"
    return Score(value=0.0, comment=f"{first.name}: {wrong}")


def _gold(task: Task) -> Mapping[str, Any]:
    try:
        gold = json.loads(task.target or "")
        return {"api_name": gold["api_name"], "result": gold["result"]}
    except (ValueError, TypeError, KeyError):
        raise ScorerError(
            f"task {task.id} has no recorded API call as its target; the scorer api_bank needs "
            'tasks of kind "api_bank" whose subset is "calls"'
        ) from None


def _results(task: Task, episode: Episode) -> list[Mapping[str, Any]]:
    state = episode.state
    if not isinstance(state, Mapping) or not isinstance(state.get("calls"), list):
        raise ScorerError(
            f'task {task.id} was not run in [environment] kind = "api_bank"; this scorer needs it'
        )
    return list(state["calls"])


def _is_api(call: FunctionCall) -> bool:
    return call.function_hash is None and call.name != PYTHON.name
