"""Whether a call's result is right: the official rule of each API.

Results are compared, not calls: most rules ask for the same output and exception, and forgive
in the input what the API forgives. Two quirks are kept, as official figures include them:
`DeleteMeeting` looks for a parameter that does not exist, so that no deletion is ever right; and
`QueryScene` in recorded dialogues shows device names with capitals, which the database has not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .dates import DAY, MOMENT, day_of_year, tidy
from .descriptions import SEARCHER

Result = Mapping[str, Any]
"""api_name, input (parameters or None), output (None if rejected), exception (why, or None)."""

Same = Callable[[Any, Any], bool]


def correct(given: Result, gold: Result, api_name: str) -> bool:
    """Judge the result of a call by the rule of the right API.

    Args:
        given: The result of the call to be judged, made on a fresh database.
        gold: The recorded result.
        api_name: The right API.
    """
    if given["api_name"] != api_name:
        return False
    try:
        return _RULES[api_name](given, gold)
    except (KeyError, ValueError, TypeError, AttributeError):
        return False  # a parameter is missing, or its value cannot be read


def _by(form: Callable[[Any], Any]) -> Same:
    return lambda given, gold: bool(form(given) == form(gold))


def _overlap(form: Callable[[str], str]) -> Same:
    """More than half of the different words, of both together, are common."""

    def same(given: str, gold: str) -> bool:
        one, two = set(form(given).split(" ")), set(form(gold).split(" "))
        return len(one & two) / len(one | two) > 0.5

    return same


def _equal(given: Any, gold: Any) -> bool:
    return bool(given == gold)


def _same_or_some(given: Any, gold: Any) -> bool:
    """Any output will do, as ids are drawn, but none where none is right."""
    return gold is not None or given is None


def _any(given: Any, gold: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Compares named parameters each in its way, then output and exception."""

    inputs: Mapping[str, Same] = field(default_factory=dict)
    rest: Same = _any  # how the parameters that are not named compare, all together
    output: Same = _equal
    exception: Same = _equal

    def __call__(self, given: Result, gold: Result) -> bool:
        return (
            all(
                same(given["input"][name], gold["input"][name])
                for name, same in self.inputs.items()
            )
            and self.rest(self._others(given), self._others(gold))
            and self.output(given["output"], gold["output"])
            and self.exception(given["exception"], gold["exception"])
        )

    def _others(self, result: Result) -> Any:
        values = result["input"]
        if not isinstance(values, Mapping):
            return values
        return {name: value for name, value in values.items() if name not in self.inputs}


def _deleted(given: Result, gold: Result) -> bool:
    if given["output"] == gold["output"] == "success":
        return bool(given["input"]["time"] == gold["input"]["time"])
    return bool(given["output"] == gold["output"] and given["exception"] == gold["exception"])


def _today(given: Result, gold: Result) -> bool:
    return given["output"] is not None and given["exception"] is None and given["input"] is None


def _found_tools(given: Result, gold: Result) -> bool:
    """By name, as recorded descriptions are of an older version. No official figure has these."""

    def names(output: Any) -> list[str]:
        return [tool["name"] for tool in (output if isinstance(output, list) else [output])]

    return names(given["output"]) == names(gold["output"])


def _items(data: list[Mapping[str, Any]]) -> list[str]:
    return sorted(str({"name": str(item["name"]), "value": str(item["value"])}) for item in data)


def _devices(devices: list[Mapping[str, str]]) -> list[tuple[str, str]]:
    return sorted((d["name"].strip().lower(), d["description"].strip()) for d in devices)


def _documents(found: list[Mapping[str, Any]] | None) -> Any:
    return found and sorted(found, key=lambda document: str(document["title"]))


def _strip(text: str) -> str:
    return text.strip()


def _lower(text: str) -> str:
    return text.strip().lower()


def _upper(text: str) -> str:
    return text.strip().upper()


def _maybe(form: Callable[[str], str]) -> Callable[[str | None], str | None]:
    return lambda text: None if text is None else form(text)


def _day(text: str) -> str:
    return tidy(text, DAY)


def _moment(text: str) -> str:
    return tidy(text, MOMENT)


_ALL = _Rule(rest=_equal)
_AGENDA = _Rule(inputs={"content": _overlap(str), "time": _equal, "location": _equal})
_REMINDER = _Rule(inputs={"content": _overlap(str.lower), "time": _equal})
_MEETING = _Rule(inputs={"meeting_topic": _overlap(str)}, rest=_equal)
_SYMPTOM = _Rule(inputs={"symptom": _by(_lower)})
_SCENE = _Rule(inputs={"name": _by(_lower)})
_SCENE_OF = {"name": _by(_lower), "devices": _by(_devices)}
_SWITCH = {"name": _by(_lower), "time": _by(_moment)}

_RULES: Mapping[str, Callable[[Result, Result], bool]] = {
    "GetUserToken": _ALL,
    "CheckToken": _ALL,
    "RegisterUser": _Rule(rest=_equal, output=_same_or_some),
    "DeleteAccount": _ALL,
    "ModifyPassword": _ALL,
    "ForgotPassword": _ALL,
    "AddAgenda": _AGENDA,
    "ModifyAgenda": _AGENDA,
    "QueryAgenda": _AGENDA,
    "DeleteAgenda": _deleted,
    "AddAlarm": _ALL,
    "DeleteAlarm": _ALL,
    "ModifyAlarm": _ALL,
    "QueryAlarm": _ALL,
    "AppointmentRegistration": _Rule(
        inputs={"patient_name": _by(_strip), "date": _by(_day), "doctor_name": _by(_strip)},
        output=_same_or_some,
    ),
    "CancelRegistration": _Rule(inputs={"appointment_id": _by(_strip)}),
    "ModifyRegistration": _Rule(
        inputs={
            "appointment_id": _by(_strip),
            "new_appointment_date": _by(_maybe(_day)),
            "new_appointment_doctor": _by(_maybe(_strip)),
        }
    ),
    "QueryRegistration": _Rule(inputs={"patient_name": _by(_strip), "date": _by(_day)}),
    "OpenBankAccount": _ALL,
    "QueryBalance": _Rule(inputs={"token": _by(_strip)}),
    "QueryStock": _Rule(inputs={"stock_code": _by(_upper), "date": _by(_day)}),
    "RecordHealthData": _Rule(
        inputs={"user_id": _by(_upper), "time": _by(_moment), "health_data": _by(_items)}
    ),
    "QueryHealthData": _Rule(
        inputs={"user_id": _by(_upper), "start_time": _by(_moment), "end_time": _by(_moment)}
    ),
    "SymptomSearch": _SYMPTOM,
    "EmergencyKnowledge": _SYMPTOM,
    "AddScene": _Rule(inputs=_SCENE_OF, output=_same_or_some),
    "ModifyScene": _Rule(inputs=_SCENE_OF),
    "DeleteScene": _SCENE,
    "QueryScene": _SCENE,
    "TimedSwitch": _Rule(inputs={**_SWITCH, "on": _equal}),
    "CancelTimedSwitch": _Rule(inputs=_SWITCH),
    "BookHotel": _ALL,
    "GetToday": _today,
    "Calculator": _Rule(inputs={"formula": _by(lambda text: text.replace(" ", ""))}),
    "QueryHistoryToday": _Rule(inputs={"date": _by(day_of_year)}),
    "Wiki": _Rule(),
    "SearchEngine": _Rule(output=_by(_documents)),
    "DocumentQA": _Rule(inputs={"url": _by(_strip), "question": _by(_strip)}),
    "Dictionary": _Rule(),
    "Translate": _Rule(inputs={"src": _equal}),
    "PlayMusic": _Rule(exception=_any),
    "SendEmail": _Rule(
        inputs={"receiver": _by(_lower), "subject": _by(_strip), "content": _by(_strip)}
    ),
    "ImageCaption": _ALL,
    "SpeechRecognition": _ALL,
    "AddMeeting": _MEETING,
    "ModifyMeeting": _MEETING,
    "QueryMeeting": _MEETING,
    "DeleteMeeting": _deleted,
    "AddReminder": _REMINDER,
    "ModifyReminder": _REMINDER,
    "QueryReminder": _REMINDER,
    "DeleteReminder": _deleted,
    SEARCHER: _found_tools,
}
