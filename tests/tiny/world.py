"""A small world of tool calls: tasks, gold, an environment, and a simulated critic.

Everything is seeded. The critic is a rule that sees neither target nor score; it is named as
simulated wherever its figures are shown.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from funcforge.engine.agent import Workspace
from funcforge.engine.episode import Episode, Score
from funcforge.engine.messages import Message, Tool
from funcforge.engine.ports import Answer, CallResult
from funcforge.engine.tasks import Task

CITIES = ["paris", "oslo", "rome", "lima", "cairo", "delhi", "quito", "tunis", "bern", "riga",
          "sofia", "dakar", "minsk", "hanoi", "accra", "perth", "tokyo", "kyiv", "doha", "lyon",
          "turin", "porto", "milan", "osaka"]  # fmt: skip
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
PEOPLE = ["anna", "boris", "clara", "david", "emma", "felix", "greta", "hugo", "irene", "jonas",
          "karin", "lukas", "maria", "nils", "olga", "pavel", "rosa", "simon", "tanja",
          "viktor"]  # fmt: skip
FOODS = ["pizza", "sushi", "tacos", "curry", "ramen", "salad", "soup", "pasta", "bagel", "crepe",
         "dosa", "pho"]  # fmt: skip
NUMBERS = [str(number) for number in range(2, 10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A tool, and how people ask for it."""

    name: str
    arguments: Mapping[str, Sequence[str]]  # name -> the values there are
    phrases: Sequence[str]
    cue: str  # a word of every phrase

    def tool(self) -> Tool:
        properties = {name: {"type": "string"} for name in self.arguments}
        return Tool(
            name=self.name,
            description=f"{self.cue}.",
            arguments={
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
        )


SKILLS = [
    Skill(
        name="get_weather", cue="weather", arguments={"city": CITIES, "day": DAYS},
        phrases=["weather in {city} on {day}", "on {day} what is the weather in {city}"],
    ),
    Skill(
        name="book_train", cue="train", arguments={"city": CITIES, "day": DAYS},
        phrases=["book a train to {city} for {day}", "for {day} i need a train to {city}"],
    ),
    Skill(
        name="order_food", cue="order", arguments={"food": FOODS, "count": NUMBERS},
        phrases=["order {count} {food}", "please order {food} , {count} of them"],
    ),
    Skill(
        name="call_person", cue="call", arguments={"name": PEOPLE, "day": DAYS},
        phrases=["call {name} on {day}", "on {day} call {name}"],
    ),
]  # fmt: skip
BY_NAME = {skill.name: skill for skill in SKILLS}
TOOLS = tuple(sorted((skill.tool() for skill in SKILLS), key=lambda tool: tool.name))


def spell(name: str, arguments: Mapping[str, Any]) -> str:
    """A call, in the one way that is compared."""
    return json.dumps({"name": name, "arguments": arguments}, sort_keys=True)


def tasks(count: int, seed: int) -> list[Task]:
    """Distinct tasks; different seeds may share some. There are 1,144."""
    rng, found = random.Random(seed), dict[str, Task]()
    while len(found) < min(count, 1_100):
        skill = rng.choice(SKILLS)
        values = {name: rng.choice(list(known)) for name, known in skill.arguments.items()}
        prompt = rng.choice(list(skill.phrases)).format(**values)
        found[prompt] = Task(id=prompt, prompt=prompt, target=spell(skill.name, values))
    return list(found.values())


def noisy_call(task: Task, rng: random.Random, right_share: float) -> tuple[str, dict[str, Any]]:
    """The right call with a chance, else a wrong tool, an invented value or a missing one."""
    assert task.target is not None
    gold = json.loads(task.target)
    name, arguments = gold["name"], dict(gold["arguments"])
    if rng.random() < right_share:
        return name, arguments
    mistake = rng.choice(["tool", "value", "value", "missing"])
    victim = rng.choice(sorted(arguments))
    if mistake == "tool":
        name = rng.choice([skill.name for skill in SKILLS if skill.name != name])
    elif mistake == "value":
        others = [v for v in BY_NAME[name].arguments[victim] if v != arguments[victim]]
        arguments[victim] = rng.choice(others)
    else:
        del arguments[victim]
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


async def agent(task: Task, workspace: Workspace) -> Answer:
    """Ask once, make the call, report. The answer is the call."""
    messages = [Message(role="user", content=task.prompt)]
    reply = await workspace.complete(messages, tools=workspace.tools())
    messages.append(reply.message)
    calls = reply.message.tool_calls
    if not calls:
        return Answer(text=reply.message.content, end="no_answer")
    result = await workspace.call_function(calls[0].name, calls[0].arguments)
    messages.append(Message(role="tool", content=result.result, tool_call_id=calls[0].id))
    workspace.record(messages)
    return Answer(text=_made(calls[0].name, calls[0].arguments))


async def gold(task: Task, episode: Episode) -> Score:
    """Whether the call is the target's."""
    return Score(value=float(episode.answer == task.target))


async def simulated_critic(task: Task, episode: Episode) -> Score:
    """Judge by rules alone: the call fits its schema, invents nothing, and suits the question.

    Gold is not looked at. It is wrong now and then, as any critic: one judgement in ten is turned
    around, by the text of the episode.
    """
    verdict = plausible(task.prompt, episode.answer or "")
    return Score(value=float(verdict != (_chance("critic", task, episode) < 0.1)))


async def random_critic(task: Task, episode: Episode) -> Score:
    """Judge by chance; about as many are good as the other critic finds."""
    return Score(value=float(_chance("random", task, episode) < 0.5))


def _chance(who: str, task: Task, episode: Episode) -> float:
    """A number in [0, 1) that follows from the call alone: equal calls are judged alike."""
    return random.Random(f"{who}\x00{task.prompt}\x00{episode.answer}").random()


def plausible(prompt: str, answer: str) -> bool:
    """Whether a call could be what was asked for, as far as rules can tell."""
    try:
        call = json.loads(answer)
        skill, arguments = BY_NAME[call["name"]], call["arguments"]
    except (ValueError, KeyError, TypeError):
        return False
    words = set(prompt.split())
    complete = set(arguments) == set(skill.arguments)
    return complete and skill.cue in words and all(str(v) in words for v in arguments.values())


def _made(name: str, arguments: str) -> str:
    try:
        return spell(name, json.loads(arguments))
    except ValueError:
        return arguments
