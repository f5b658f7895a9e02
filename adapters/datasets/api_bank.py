"""API-Bank's dialogues as tasks: the history up to an API call or a reply, and what came next.

As the official evaluation does it, each API call of a dialogue is a task of its own: what was
said and called before is given, the next call is wanted. Replies are the AI's turns right after a
call, to be judged by `text_overlap` with `options.measure = "rouge_l"`. Calls whose recorded
result does not pass its own checker are left out, since nobody can get them right:
benchmarks/results/api_bank.md lists them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...engine.errors import InvalidReply, TaskError
from ...engine.tasks import Task
from ..environments.api_bank.checkers import correct
from ..environments.api_bank.descriptions import SEARCHER
from ..environments.api_bank.environment import ApiBank
from ..environments.api_bank.official import spell_call, typed
from .records import JsonLines, at
from .rows import Row

LEVELS = {"level-1": "level-1", "level-2": "level-2"}  # how a folder's name begins -> category
PARTS = ("calls", "replies")

_CALLS = """\
You are the AI in this dialogue. It is the year 2023. Make the next API call: one call, with the \
values that the dialogue gives.

{history}"""
_REPLIES = """\
You are the AI in this dialogue. It is the year 2023. Write your next reply to the user.

{history}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One line of a dialogue."""

    role: str  # User, AI, API
    text: str = ""
    api_name: str = ""
    parameters: Mapping[str, Any]
    result: Mapping[str, Any]

    def spell(self) -> str:
        """Return the line as a history shows it."""
        if self.role != "API":
            return f"{self.role}: {self.text}"
        return f"API: {spell_call(self.api_name, self.parameters)} -> {self.result['output']}"


def api_bank_rows(folder: Path, part: str | None) -> Iterator[Mapping[str, Any]]:
    """Yield the tasks of a data folder as rows.

    Raises:
        TaskError: There are no dialogues, or one is wrong; `part` is none.
        ConfigError: Descriptions or databases are missing.
    """
    part = part or "calls"
    if part not in PARTS:
        raise TaskError(f"must be one of {', '.join(PARTS)}, found {part!r}", key="tasks.subset")
    bank = ApiBank(folder)
    files = list(_files(folder))
    if not files:
        raise TaskError(
            "holds no dialogues: folders level-1-... and level-2-... of .jsonl files are due",
            file=str(folder),
        )
    for level, file in files:
        turns = read_dialogue(file)
        yield from (_calls if part == "calls" else _replies)(level, file.stem, turns, bank)


def dialogues(folder: Path) -> Iterator[tuple[str, str, Sequence[Turn]]]:
    """Yield level, name and turns of each dialogue.

    Raises:
        TaskError: A dialogue is wrong.
    """
    for level, file in _files(folder):
        yield level, file.stem, read_dialogue(file)


def read_dialogue(file: Path) -> Sequence[Turn]:
    """Read a dialogue.

    Raises:
        TaskError: A line is wrong; names file and line.
    """
    return [_turn(record.values, at(str(file), record.line)) for record in JsonLines(file).scan()]


def gold_passes(turn: Turn, bank: ApiBank) -> bool:
    """Whether a recorded call passes its own checker here, made on fresh databases."""
    try:
        described = bank.descriptions[turn.api_name]["input_parameters"]
        given = bank.session(0).execute(turn.api_name, typed(turn.parameters, described))
    except (KeyError, InvalidReply, TypeError):  # an unknown API or parameter, one missing
        return False
    return correct(given, turn.result, turn.api_name)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for level in LEVELS:
        for below in sorted(folder.glob(f"{level}-*")):
            yield from ((LEVELS[level], file) for file in sorted(below.glob("*.jsonl")))


def _turn(values: Mapping[str, Any], where: str) -> Turn:
    row = Row(values=values, where=where)
    role = values.get("role")
    if role in ("User", "AI"):
        return Turn(role=role, text=str(values.get("text", "")), parameters={}, result={})
    if role != "API":
        row.fail("role", f"must be User, AI or API, found {role!r:.40}")
    parameters, result = values.get("param_dict"), values.get("result")
    if not isinstance(parameters, dict):
        row.fail("param_dict", "must be an object")
    if not isinstance(result, dict) or not {"input", "output", "exception"} <= result.keys():
        row.fail("result", "must be an object with input, output and exception")
    return Turn(role=role, api_name=row.text("api_name"), parameters=parameters, result=result)


def _calls(
    level: str, name: str, turns: Sequence[Turn], bank: ApiBank
) -> Iterator[Mapping[str, Any]]:
    for place, turn in enumerate(turns):
        if turn.role == "API" and gold_passes(turn, bank):
            target = {"api_name": turn.api_name, "result": turn.result}
            yield _row(level, name, place, _CALLS, turns) | {
                "target": json.dumps(target),
                "apis": _offered(level, turns, place, bank),
            }


def _replies(
    level: str, name: str, turns: Sequence[Turn], bank: ApiBank
) -> Iterator[Mapping[str, Any]]:
    for place, turn in enumerate(turns):
        if turn.role == "AI" and place > 0 and turns[place - 1].role == "API" and turn.text.strip():
            yield _row(level, name, place, _REPLIES, turns) | {"target": turn.text, "apis": []}


def _row(level: str, name: str, place: int, prompt: str, turns: Sequence[Turn]) -> dict[str, Any]:
    history = "\n".join(turn.spell() for turn in turns[:place])
    return {
        "id": f"{name}/{place}",
        "prompt": prompt.format(history=history),
        "category": level,
        "group": name,
    }


def _offered(level: str, turns: Sequence[Turn], place: int, bank: ApiBank) -> list[str]:
    """Return the APIs that are offered as tools.

    Level 1 gives those of the dialogue. Level 2 gives the searcher and what it found so far; in a
    dialogue that never searches, those of the dialogue, since no others could be called.
    """
    called = {turn.api_name for turn in turns if turn.role == "API"}
    if level == "level-1" or SEARCHER not in called:
        names = called
    else:
        names = {SEARCHER}
        for turn in turns[:place]:
            if turn.api_name == SEARCHER:
                found = turn.result["output"]
                names |= {tool["name"] for tool in (found if isinstance(found, list) else [found])}
    if level == "level-2":
        names = names | {SEARCHER}
    return sorted(names & bank.descriptions.keys())


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiBankReader:
    """The rows of `api_bank_rows`."""

    def __call__(self, values: Mapping[str, Any], where: str, default_id: str) -> Task:
        return Task(
            id=values["id"],
            prompt=values["prompt"],
            target=values["target"],
            metadata={key: values[key] for key in ("category", "group", "apis")},
        )
