"""The APIs by domain. Each is a function of the session's state and its own parameters."""

from __future__ import annotations

from ..store import Api
from . import (
    accounts,
    agenda,
    alarms,
    appointments,
    bank,
    health,
    home,
    hotel,
    knowledge,
    media,
    meetings,
    reminders,
)

APIS: dict[str, Api] = {
    **accounts.APIS,
    **agenda.APIS,
    **alarms.APIS,
    **appointments.APIS,
    **bank.APIS,
    **health.APIS,
    **home.APIS,
    **hotel.APIS,
    **knowledge.APIS,
    **media.APIS,
    **meetings.APIS,
    **reminders.APIS,
}

__all__ = ["APIS", "Api"]
