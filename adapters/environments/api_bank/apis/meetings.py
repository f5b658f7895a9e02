"""Meetings. One is found by its topic or by its start."""

from __future__ import annotations

from typing import Any

from ..dates import check
from ..store import Api, Rejected, State, next_id


def add_meeting(
    state: State,
    token: str,
    meeting_topic: str,
    start_time: str,
    end_time: str,
    location: str,
    attendees: list[str],
) -> str:
    """Add a meeting."""
    check(start_time)
    check(end_time)
    if not meeting_topic.strip():
        raise Rejected("Meeting Topic should not be null")
    owner = state.user(token)
    meetings = state.table("Meeting")
    meetings[next_id(meetings)] = {
        "username": owner,
        "meeting_topic": meeting_topic,
        "start_time": start_time,
        "end_time": end_time,
        "location": location,
        "attendees": attendees,
    }
    return "success"


def delete_meeting(
    state: State,
    token: str,
    meeting_topic: str,
    start_time: str,
    end_time: str,
    location: str,
    attendees: list[str],
) -> str:
    """Remove a meeting."""
    del state.table("Meeting")[_find(state, token, meeting_topic, start_time, end_time)]
    return "success"


def modify_meeting(
    state: State,
    token: str,
    meeting_topic: str,
    start_time: str,
    end_time: str,
    location: str,
    attendees: list[str],
) -> str:
    """Change topic and times of a meeting; its place and people stay, as officially."""
    held = state.table("Meeting")[_find(state, token, meeting_topic, start_time, end_time)]
    if meeting_topic:
        held["meeting_topic"] = meeting_topic
    if start_time:
        held.update(start_time=start_time, end_time=end_time)
    return "success"


def query_meeting(
    state: State,
    token: str,
    meeting_topic: str,
    start_time: str,
    end_time: str,
    location: str,
    attendees: list[str],
) -> Any:
    """Return a meeting."""
    return state.table("Meeting")[_find(state, token, meeting_topic, start_time, end_time)]


def _find(state: State, token: str, topic: str, start: str, end: str) -> str:
    for time in (start, end):
        if time:
            check(time)
    if not topic.strip() and not start:
        raise Rejected("Meeting Topic and start_time should not be null both")
    owner = state.user(token)
    for key, held in state.table("Meeting").items():
        if held["username"] == owner and (
            held["meeting_topic"] == topic or held["start_time"] == start
        ):
            return key
    what = f"about {topic}" if topic else f"at time : {start}"
    raise Rejected(f"You have no meeting {what}")


APIS: dict[str, Api] = {
    "AddMeeting": add_meeting,
    "DeleteMeeting": delete_meeting,
    "ModifyMeeting": modify_meeting,
    "QueryMeeting": query_meeting,
}
