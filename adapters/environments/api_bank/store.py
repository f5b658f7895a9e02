"""What the APIs work on: databases that are reset for each session, and what else they remember."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ....engine.errors import ConfigError

# changed by calls; each session has its own copy
CHANGING = (
    "Account", "Agenda", "Alarm", "Appointments", "Bank", "HealthData", "Hotel", "Meeting",
    "Reminder", "Scenes", "TimeSwitch",
)  # fmt: skip
# only read, and large: all sessions share one
FIXED = (
    "History", "ImageCaptioning", "QuestionAnswering", "SearchEngine", "SpeechRecognition", "Stock",
    "Symptom", "Wiki",
)  # fmt: skip
# APIs whose table has no file begin with these rows
EXTRA = {"BankAccounts": {"0": {"account": "test", "password": "test", "name": "yifei"}}}


class Rejected(Exception):
    """What an API says to a call that it does not carry out."""


Api = Callable[..., Any]
"""Called with the `State` and the parameters by name; returns what the call's output is.

Raises `Rejected` or `ValueError` where it does not carry the call out; the text is the answer.
"""


class Databases:
    """The initial databases of a folder, read when they are first needed.

    Raises:
        ConfigError: On construction: a file is missing.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in (*CHANGING, *FIXED) if not (folder / f"{name}.json").is_file()]
        if missing:
            raise ConfigError(
                f"lacks the database {missing[0]}.json ({len(missing)} of "
                f"{len(CHANGING) + len(FIXED)} are missing)",
                file=str(folder),
            )
        self._folder = folder
        self._fixed: dict[str, Any] = {}
        self._initial: dict[str, str] = {name: json.dumps(rows) for name, rows in EXTRA.items()}

    def check(self) -> None:
        """Read every database.

        Raises:
            ConfigError: A file cannot be read.
        """
        for name in CHANGING:
            self.initial(name)
        for name in FIXED:
            self.fixed(name)

    def fixed(self, name: str) -> Any:
        """Return a database that nobody changes."""
        if name not in self._fixed:
            self._fixed[name] = self._read(name)
        return self._fixed[name]

    def initial(self, name: str) -> dict[str, Any]:
        """Return a copy of a database as it begins."""
        if name not in self._initial:
            self._initial[name] = json.dumps(self._read(name))
        rows: dict[str, Any] = json.loads(self._initial[name])
        return rows

    def _read(self, name: str) -> Any:
        path = self._folder / f"{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"is not valid JSON: {error}", file=str(path)) from None


class State:
    """The databases of one session, and its chance."""

    def __init__(self, databases: Databases, seed: int) -> None:
        self.verification: tuple[str, int] | None = None  # of ForgotPassword: user and code
        self._databases = databases
        self._seed = seed
        self._tables: dict[str, dict[str, Any]] = {}

    @cached_property
    def random(self) -> random.Random:
        """The session's chance, drawn by its seed."""
        return random.Random(self._seed)  # noqa: S311 - ids, no secrets

    def table(self, name: str) -> dict[str, Any]:
        """Return a database of the session's own."""
        if name not in self._tables:
            self._tables[name] = self._databases.initial(name)
        return self._tables[name]

    def fixed(self, name: str) -> Any:
        """Return a database that is only read."""
        return self._databases.fixed(name)

    def user(self, token: str) -> str:
        """Return whose token it is.

        Raises:
            Rejected: Nobody's.
        """
        for name, account in self.table("Account").items():
            if account["token"] == token:
                return name
        raise Rejected("The token is invalid.")

    def changes(self) -> dict[str, Mapping[str, Any]]:
        """Return the rows that differ from the beginning, by table; null for a deleted row."""
        changed: dict[str, Mapping[str, Any]] = {}
        for name in sorted(self._tables):
            before, now = self._databases.initial(name), self._tables[name]
            rows = {
                key: now.get(key)
                for key in sorted({*before, *now})
                if before.get(key) != now.get(key)
            }
            if rows:
                changed[name] = rows
        return changed


def next_id(table: Mapping[str, Any]) -> str:
    """Return the number behind the highest one in use."""
    return str(max((int(key) for key in table), default=-1) + 1)
