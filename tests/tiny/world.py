"""A small world of tool calls: tasks, gold, an environment, and the mistakes of a bad caller.

Everything is seeded. It is compositional: there are more than 80,000 different tasks, so that a
model that knows most of them by heart is out of the question. A tenth of them, by the hash of
their text, is never used to pre-train anything: the tasks of trainings and tests.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from funcforge.engine.episode import Episode, Score
from funcforge.engine.messages import Tool
from funcforge.engine.ports import CallResult
from funcforge.engine.tasks import Task

KINDS: Mapping[str, Sequence[str]] = {
    "city": [
        "paris", "oslo", "rome", "lima", "cairo", "delhi", "quito", "tunis", "bern", "riga",
        "sofia", "dakar", "minsk", "hanoi", "accra", "perth", "tokyo", "kyiv", "doha", "lyon",
        "turin", "porto", "milan", "osaka", "madrid", "dublin", "vienna", "athens", "boston",
        "denver",
    ],
    "day": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    "person": [
        "anna", "boris", "clara", "david", "emma", "felix", "greta", "hugo", "irene", "jonas",
        "karin", "lukas", "maria", "nils", "olga", "pavel", "rosa", "simon", "tanja", "viktor",
        "walter", "xenia", "yusuf", "zoe",
    ],
    "food": ["pizza", "sushi", "tacos", "curry", "ramen", "salad", "soup", "pasta", "bagels",
             "crepes", "dosas", "falafel"],
    "number": [str(number) for number in range(2, 20)],
    "colour": ["red", "blue", "green", "black", "white", "silver", "yellow", "brown"],
    "room": ["kitchen", "bedroom", "garage", "office", "cellar", "attic", "garden", "hall"],
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A tool, and how people ask for it."""

    name: str
    arguments: Mapping[str, str]  # name -> kind of value
    phrases: Sequence[str]

    def tool(self) -> Tool:
        """Return it as agents are offered it."""
        properties = {name: {"type": "string"} for name in self.arguments}
        return Tool(
            name=self.name,
            description=self.name.replace("_", " "),
            arguments={
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
        )


SKILLS = [
    Skill(
        name="get_weather", arguments={"city": "city", "day": "day"},
        phrases=["weather in {city} on {day}", "on {day} what is the weather in {city}",
                 "{city} weather for {day} please"],
    ),
    Skill(
        name="book_train", arguments={"origin": "city", "destination": "city", "day": "day"},
        phrases=["book a train from {origin} to {destination} on {day}",
                 "i need a train to {destination} from {origin} on {day}",
                 "on {day} a train takes me from {origin} to {destination}"],
    ),
    Skill(
        name="order_food", arguments={"food": "food", "count": "number", "person": "person"},
        phrases=["order {count} {food} for {person}", "{person} wants {count} {food} so order it",
                 "please order {food} for {person} and make it {count}"],
    ),
    Skill(
        name="call_person", arguments={"name": "person", "day": "day"},
        phrases=["call {name} on {day}", "on {day} please call {name}",
                 "remember to call {name} this {day}"],
    ),
    Skill(
        name="book_table", arguments={"seats": "number", "city": "city", "day": "day"},
        phrases=["a table for {seats} in {city} on {day}", "in {city} a table on {day} for {seats}",
                 "find {seats} of us a table in {city} this {day}"],
    ),
    Skill(
        name="send_money", arguments={"sender": "person", "receiver": "person", "amount": "number"},
        phrases=["send {amount} euros from {sender} to {receiver}",
                 "{receiver} gets {amount} euros from {sender}",
                 "move {amount} euros to {receiver} from {sender}"],
    ),
    Skill(
        name="rent_car", arguments={"colour": "colour", "city": "city", "day": "day"},
        phrases=["rent a {colour} car in {city} on {day}", "in {city} i want a {colour} car {day}",
                 "this {day} get me a {colour} car in {city}"],
    ),
    Skill(
        name="heat_room", arguments={"room": "room", "degrees": "number", "day": "day"},
        phrases=["heat the {room} to {degrees} degrees on {day}",
                 "on {day} make it {degrees} degrees in the {room}",
                 "{degrees} degrees in the {room} this {day}"],
    ),
]  # fmt: skip
BY_NAME = {skill.name: skill for skill in SKILLS}
TOOLS = tuple(sorted((skill.tool() for skill in SKILLS), key=lambda tool: tool.name))
REFUSED, DONE, SORRY = "Refused", "done", "sorry"  # how a result begins, how the agent ends


def spell(name: str, arguments: Mapping[str, Any]) -> str:
    """A call, in the one way that is compared."""
    return json.dumps({"name": name, "arguments": arguments}, sort_keys=True)


def draws(seed: int, *, reserved: bool) -> Iterator[Task]:
    """Draw tasks without end, out of those that are reserved for trainings or out of the rest."""
    rng = random.Random(seed)
    while True:
        skill = rng.choice(SKILLS)
        values: dict[str, str] = {}
        for name, kind in skill.arguments.items():
            values[name] = rng.choice([v for v in KINDS[kind] if v not in values.values()])
        prompt = rng.choice(list(skill.phrases)).format(**values)
        if (zlib.crc32(prompt.encode()) % 10 == 0) == reserved:
            yield Task(id=prompt, prompt=prompt, target=spell(skill.name, values))


def tasks(count: int, seed: int) -> list[Task]:
    """Return so many different tasks that no model was pre-trained on."""
    found: dict[str, Task] = {}
    for task in draws(seed, reserved=True):
        found[task.id] = task
        if len(found) == count:
            break
    return list(found.values())


def valid(name: str, arguments: Mapping[str, str]) -> bool:
    """Return whether a call fits its tool's schema."""
    return set(arguments) == set(BY_NAME[name].arguments)


Call = tuple[str, dict[str, str]]
"""A tool's name, and the values of its arguments by name."""


def noisy_call(task: Task, rng: random.Random, right_share: float) -> Call | None:
    """Return the right call with a chance, else one with any of six mistakes; None: no call."""
    assert task.target is not None
    gold = json.loads(task.target)
    name, arguments = gold["name"], dict(gold["arguments"])
    if rng.random() < right_share:
        return name, arguments
    kinds = BY_NAME[name].arguments
    victim, other = rng.sample(sorted(arguments), 2)
    match rng.choice(["tool", "value", "value", "value", "missing", "copied", "swapped", "none"]):
        case "tool":
            name = rng.choice([skill.name for skill in SKILLS if skill.name != name])
        case "missing":
            del arguments[victim]
        case "copied":
            arguments[victim] = arguments[other]
        case "swapped" if len(set(kinds.values())) < len(kinds):
            one, two = [
                argument for argument in kinds if list(kinds.values()).count(kinds[argument]) > 1
            ]
            arguments[one], arguments[two] = arguments[two], arguments[one]
        case "none":
            return None
        case _:
            arguments[victim] = rng.choice(
                [value for value in KINDS[kinds[victim]] if value != arguments[victim]]
            )
    return name, arguments


# -- what a run is made of -------------------------------------------------------------------


class _Session:
    def __init__(self) -> None:
        self._done: list[str] = []

    def tools(self) -> tuple[Tool, ...]:
        return TOOLS

    async def call(self, name: str, arguments: Mapping[str, Any]) -> CallResult:
        self._done.append(spell(name, arguments))
        return CallResult(outcome="value", value="ok")

    def snapshot(self) -> Any:
        return self._done


class TinyWorld:
    """The environment: its tools take note of what they are called with."""

    @asynccontextmanager
    async def open(self, task: Task, *, seed: int) -> AsyncGenerator[_Session]:
        yield _Session()


async def gold(task: Task, episode: Episode) -> Score:
    """Whether the target's call was made, and no other."""
    return Score(value=float(episode.state == [task.target]))
