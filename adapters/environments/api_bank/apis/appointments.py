"""Appointments with doctors."""

from __future__ import annotations

from typing import Any

from ..dates import DAY, loosely, tidy
from ..store import Api, Rejected, State


def appointment_registration(state: State, patient_name: str, date: str, doctor_name: str) -> str:
    """Make an appointment; its id is drawn by the session's seed."""
    patient, doctor = patient_name.strip(), doctor_name.strip()
    if not patient or not doctor:
        raise Rejected("Patient name or doctor name cannot be empty.")
    day = tidy(date, DAY)
    appointments = state.table("Appointments")
    for held in appointments.values():
        if held["patient_name"] == patient and loosely(held["date"], DAY) == day:
            if held["doctor_name"] == doctor:
                raise Rejected("This appointment has already been registered.")
            raise Rejected("This patient has already been registered in this day.")
    key = _draw_id(state)
    while key in appointments:
        key = _draw_id(state)
    appointments[key] = {"patient_name": patient, "date": day, "doctor_name": doctor}
    return key


def cancel_registration(state: State, appointment_id: str) -> str:
    """Cancel an appointment."""
    if state.table("Appointments").pop(appointment_id.strip(), None) is None:
        raise Rejected("The appointment ID is incorrect.")
    return "success"


def modify_registration(
    state: State,
    appointment_id: str,
    new_appointment_date: str | None = None,
    new_appointment_doctor: str | None = None,
) -> str:
    """Give an appointment another date, another doctor, or both; what is given must differ."""
    held = state.table("Appointments").get(appointment_id.strip())
    if held is None:
        raise Rejected("The appointment ID does not exist.")
    doctor = None if new_appointment_doctor is None else new_appointment_doctor.strip()
    if doctor == "":
        raise Rejected("Fail because the doctor name is empty.")
    date = None if new_appointment_date is None else tidy(new_appointment_date, DAY)
    wanted = {"date": date, "doctor_name": doctor}
    given = {column: value for column, value in wanted.items() if value is not None}
    same = [column for column, value in given.items() if held[column] == value]
    if not given or len(same) == 2:
        raise Rejected("Fail because no modification is made.")
    if same:
        noun = "date" if same == ["date"] else "doctor"
        raise Rejected(f"Fail because {noun} is not changed.")
    held.update(given)
    return "success"


def query_registration(state: State, patient_name: str, date: str) -> dict[str, Any]:
    """Return a patient's appointments on a day, by id."""
    day = tidy(date, DAY)
    found = {
        key: held
        for key, held in state.table("Appointments").items()
        if held["patient_name"] == patient_name.strip() and loosely(held["date"], DAY) == day
    }
    if not found:
        raise Rejected("No appointments found.")
    return found


def _draw_id(state: State) -> str:
    return str(state.random.randint(10_000_000, 99_999_999))


APIS: dict[str, Api] = {
    "AppointmentRegistration": appointment_registration,
    "CancelRegistration": cancel_registration,
    "ModifyRegistration": modify_registration,
    "QueryRegistration": query_registration,
}
