"""Agenda items. One is found by its content or by its time."""

from __future__ import annotations

from typing import Any

from ..dates import check
from ..store import Api, Rejected, State


def add_agenda(state: State, token: str, content: str, time: str, location: str) -> str:
    """Add an item."""
    check(time)
    if not content.strip():
        raise Rejected("Content should not be null")
    owner = state.user(token)
    items = state.table("Agenda")
    items[str(len(items) + 1)] = _item(owner, content, time, location)
    return "success"


def delete_agenda(state: State, token: str, content: str, time: str, location: str) -> str:
    """Remove the first item with this content or time."""
    key = _find(state, token, content, time, "meeting")
    if key is not None:
        del state.table("Agenda")[key]
    return "success"


def modify_agenda(state: State, token: str, content: str, time: str, location: str) -> str:
    """Give the first item with this content or time the new values."""
    key = _find(state, token, content, time, "agenda")
    if key is None:
        raise Rejected("Error")
    state.table("Agenda")[key] = _item(state.user(token), content, time, location)
    return "success"


def query_agenda(state: State, token: str, content: str, time: str, location: str) -> Any:
    """Return the first item with this content or time."""
    key = _find(state, token, content, time, "agenda")
    if key is None:
        raise Rejected("Error")
    return state.table("Agenda")[key]


def _find(state: State, token: str, content: str, time: str, noun: str) -> str | None:
    """Return the key of an item; None where neither content nor time was given."""
    if time:
        check(time)
    owner = state.user(token)
    for key, item in state.table("Agenda").items():
        if item["username"] == owner and (item["content"] == content or item["time"] == time):
            return key
    if content:
        raise Rejected(f"You have no {noun} about {content}")
    if time:
        raise Rejected(f"You have no {noun} at time : {time}")
    return None


def _item(owner: str, content: str, time: str, location: str) -> dict[str, str]:
    return {"username": owner, "content": content, "time": time, "location": location}


APIS: dict[str, Api] = {
    "AddAgenda": add_agenda,
    "DeleteAgenda": delete_agenda,
    "ModifyAgenda": modify_agenda,
    "QueryAgenda": query_agenda,
}
