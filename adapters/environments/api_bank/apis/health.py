"""Health records, symptoms and first aid."""

from __future__ import annotations

from typing import Any

from ..dates import MOMENT, tidy
from ..store import Api, Rejected, State


def record_health_data(
    state: State, user_id: str, time: str, health_data: list[dict[str, Any]] | None = None
) -> str:
    """Add values to a user's record at a time."""
    user = user_id.upper().strip()
    if not user:
        raise Rejected("The user id cannot be empty.")
    moment = tidy(time, MOMENT)
    if not health_data:
        raise Rejected("The health data cannot be empty.")
    if not all(
        isinstance(item, dict) and "name" in item and "value" in item for item in health_data
    ):
        raise Rejected("The health data has invalid format.")
    names = [str(item["name"]) for item in health_data]
    if len(set(names)) < len(names):
        raise Rejected("The health data cannot contain duplicate items.")
    records = state.table("HealthData").setdefault(user, [])
    record = next((held for held in records if held["time"] == moment), None)
    if record is None:
        record = {"time": moment}
        records.append(record)
    record.update((str(item["name"]), item["value"]) for item in health_data)
    return "success"


def query_health_data(state: State, user_id: str, start_time: str, end_time: str) -> list[Any]:
    """Return a user's records between two times."""
    user = user_id.upper().strip()
    if not user:
        raise Rejected("The user id cannot be empty.")
    start, end = tidy(start_time, MOMENT), tidy(end_time, MOMENT)
    if start > end:
        raise Rejected("The start time cannot be later than the end time.")
    records = state.table("HealthData").get(user)
    if records is None:
        raise Rejected("The user id does not exist.")
    found = [record for record in records if start <= record["time"] <= end]
    if not found:
        raise Rejected("There is no health data in the given time span.")
    return found


def symptom_search(state: State, symptom: str) -> list[dict[str, str]]:
    """Return the diseases of a symptom."""
    return _diseases(state, symptom, "description")


def emergency_knowledge(state: State, symptom: str) -> list[dict[str, str]]:
    """Return first aid for a symptom."""
    return _diseases(state, symptom, "aid")


def _diseases(state: State, symptom: str, column: str) -> list[dict[str, str]]:
    name = symptom.strip().lower()
    if not name:
        raise Rejected("The symptom cannot be empty.")
    diseases = state.fixed("Symptom").get(name)
    if diseases is None:
        raise Rejected("The symptom does not exist.")
    return [{"name": disease["name"], column: disease[column]} for disease in diseases]


APIS: dict[str, Api] = {
    "RecordHealthData": record_health_data,
    "QueryHealthData": query_health_data,
    "SymptomSearch": symptom_search,
    "EmergencyKnowledge": emergency_knowledge,
}
