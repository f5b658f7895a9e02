"""Reminders. One is found by its content or by its time."""

from __future__ import annotations

from typing import Any

from ..dates import check
from ..store import Api, Rejected, State, next_id


def add_reminder(state: State, token: str, content: str, time: str) -> str:
    """Add a reminder."""
    check(time)
    _check_content(content)
    owner = state.user(token)
    reminders = state.table("Reminder")
    reminders[next_id(reminders)] = {"username": owner, "content": content, "time": time}
    return "success"


def delete_reminder(state: State, token: str, content: str, time: str) -> str:
    """Remove a reminder."""
    del state.table("Reminder")[_find(state, token, content, time)]
    return "success"


def modify_reminder(state: State, token: str, content: str, time: str) -> str:
    """Change a reminder."""
    held = state.table("Reminder")[_find(state, token, content, time)]
    held.update(content=content, time=time)
    return "success"


def query_reminder(state: State, token: str, content: str, time: str) -> Any:
    """Return a reminder."""
    return state.table("Reminder")[_find(state, token, content, time)]


def _find(state: State, token: str, content: str, time: str) -> str:
    check(time)
    _check_content(content)
    owner = state.user(token)
    for key, held in state.table("Reminder").items():
        if held["username"] == owner and (held["content"] == content or held["time"] == time):
            return key
    raise Rejected(f"You have no reminder about {content} or at time : {time}")


def _check_content(content: str) -> None:
    if not content.strip():
        raise Rejected("Content should not be null")


APIS: dict[str, Api] = {
    "AddReminder": add_reminder,
    "DeleteReminder": delete_reminder,
    "ModifyReminder": modify_reminder,
    "QueryReminder": query_reminder,
}
