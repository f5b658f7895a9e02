"""Alarm clocks."""

from __future__ import annotations

from typing import Any

from ..dates import check
from ..store import Api, Rejected, State


def add_alarm(state: State, token: str, time: str) -> str:
    """Set an alarm."""
    check(time)
    owner = state.user(token)
    alarms = state.table("Alarm")
    alarms[str(len(alarms) + 1)] = {"username": owner, "time": time}
    return "success"


def delete_alarm(state: State, token: str, time: str) -> str:
    """Remove an alarm."""
    del state.table("Alarm")[_find(state, token, time, "alarm clock")]
    return "success"


def modify_alarm(state: State, token: str, from_time: str, to_time: str) -> str:
    """Move an alarm."""
    check(to_time)
    key = _find(state, token, from_time, "agenda")
    state.table("Alarm")[key] = {"username": state.user(token), "time": to_time}
    return "success"


def query_alarm(state: State, token: str, time: str) -> Any:
    """Return an alarm."""
    return state.table("Alarm")[_find(state, token, time, "alarm clock")]


def _find(state: State, token: str, time: str, noun: str) -> str:
    check(time)
    owner = state.user(token)
    for key, alarm in state.table("Alarm").items():
        if alarm["username"] == owner and alarm["time"] == time:
            return key
    raise Rejected(f"You have no {noun} at time : {time}")


APIS: dict[str, Api] = {
    "AddAlarm": add_alarm,
    "DeleteAlarm": delete_alarm,
    "ModifyAlarm": modify_alarm,
    "QueryAlarm": query_alarm,
}
