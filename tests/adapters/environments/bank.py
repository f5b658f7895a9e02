"""A small API-Bank of a test's own: few descriptions, few rows, two dialogues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from funcforge.adapters.environments.api_bank.store import CHANGING, FIXED

TOKEN = {"type": "str", "description": "User's token."}
TIME = {"type": "str", "description": "Format: %Y-%m-%d %H:%M:%S"}


def _entry(name: str, about: str, **parameters: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "description": about,
        "input_parameters": parameters,
        "output_parameters": {"status": {"type": "str", "description": "how it went"}},
    }


ENTRIES = [
    _entry("GetUserToken", "Get a token.", username={"type": "str", "description": "Name."},
           password={"type": "str", "description": "Password."}),
    _entry("AddAlarm", "Set an alarm clock.", token=TOKEN, time=TIME),
    _entry("QueryAlarm", "Query an alarm clock.", token=TOKEN, time=TIME),
    _entry("AppointmentRegistration", "Make an appointment.",
           patient_name={"type": "str", "description": "Who."},
           date={"type": "str", "description": "When."},
           doctor_name={"type": "str", "description": "With whom."}),
    _entry("RecordHealthData", "Record values.", user_id={"type": "str", "description": "Who."},
           time=TIME, health_data={"type": "list", "description": "Values."}),
    _entry("Calculator", "Calculate a formula.",
           formula={"type": "str", "description": "The formula."}),
    _entry("BookHotel", "Order rooms.", hotel_name={"type": "str", "description": "Which."},
           check_in_time={"type": "str", "description": "From."},
           check_out_time={"type": "str", "description": "To."},
           room_count={"type": "int", "description": "Rooms."},
           adult_count={"type": "int", "description": "Adults."},
           child_count={"type": "int", "description": "Children."}),
    _entry("ToolSearcher", "Find tools.", keywords={"type": "str", "description": "Words."}),
]  # fmt: skip

ROWS: dict[str, Any] = {
    "Account": {"ann": {"password": "pw", "token": "tok1", "email": "ann@example.com"},
                "bob": {"password": "pw2", "token": "tok2", "email": "bob@example.com"}},
    "Alarm": {"1": {"time": "2023-03-16 07:00:00", "username": "ann"}},
}  # fmt: skip


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "text": text}


def called(name: str, output: Any, **parameters: Any) -> dict[str, Any]:
    result = {"api_name": name, "input": parameters, "output": output, "exception": None}
    return {"role": "API", "api_name": name, "param_dict": parameters, "result": result}


ALARM = [
    said("User", "Wake me at 8 on 2023-05-01. I am ann, my password is pw."),
    called("GetUserToken", {"token": "tok1"}, username="ann", password="pw"),
    called("AddAlarm", "success", token="tok1", time="2023-05-01 08:00:00"),
    said("AI", "The alarm is set."),
]
SEARCH = [
    said("User", "What is 2 + 3?"),
    called("ToolSearcher", {"name": "Calculator"}, keywords="calculate"),
    called("Calculator", 5.0, formula="2+3"),
    said("AI", "It is 5."),
    said("User", "And 1/0?"),
    called("Calculator", 7.0, formula="1/0"),  # gold that does not pass
]


def write_bank(folder: Path) -> Path:
    """Write the data folder."""
    (folder / "init_database").mkdir(parents=True)
    for name in (*CHANGING, *FIXED):
        rows = ROWS.get(name, {})
        (folder / "init_database" / f"{name}.json").write_text(json.dumps(rows))
    described = {entry["name"]: entry for entry in ENTRIES}
    (folder / "api_descriptions.json").write_text(json.dumps(described))
    for level, name, lines in (("level-1-x", "alarm", ALARM), ("level-2-x", "sum", SEARCH)):
        (folder / level).mkdir()
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / level / f"{name}.jsonl").write_text(text)
    return folder
