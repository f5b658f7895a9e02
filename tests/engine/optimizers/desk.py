"""A workbench for tests of optimizers: a scripted model, and code of the tests' own run here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from funcforge.engine.critic import Preference
from funcforge.engine.episode import Episode, FunctionCall, Job, Score
from funcforge.engine.errors import ConfigError, InvalidEdit
from funcforge.engine.events import EditProposed, Event, PromptTrimmed
from funcforge.engine.functions import Function
from funcforge.engine.messages import Finish, Message, Reply, Request, Tool, ToolCall
from funcforge.engine.optimizer import Batch, Situation
from funcforge.engine.parameters import Parameters
from funcforge.engine.ports import CallResult, ModelFacts
from funcforge.engine.tasks import Task
from funcforge.engine.tuning_jobs import TuningPlan

Line = Reply | Exception | Callable[[Request], Reply]


class Desk:
    """Plays a script as the model; keeps what was asked, published, checked and called."""

    def __init__(self, *script: Line, context_tokens: int = 32_000) -> None:
        self.asked: list[Request] = []
        self.events: list[Event] = []
        self.checked: list[str] = []
        self.called: list[tuple[str, Mapping[str, Any]]] = []
        self.broken: set[str] = set()  # names that do not load
        self.plans: list[TuningPlan] = []
        self.compared: list[tuple[str, str]] = []  # ids of episodes
        self.preferred: Callable[[Episode, Episode], Preference] | None = None  # None: no critic
        self._script = list(script)
        self._facts = ModelFacts(context_tokens=context_tokens, max_output_tokens=8_000)

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        line = self._script.pop(0)
        if isinstance(line, Exception):
            raise line
        return line if isinstance(line, Reply) else line(request)

    def facts(self) -> ModelFacts:
        return self._facts

    async def check(self, function: Function) -> None:
        self.checked.append(function.name)
        if function.name in self.broken:
            raise InvalidEdit(f"The code of {function.name!r} does not load")

    async def call(self, function: Function, arguments: Mapping[str, Any]) -> CallResult:
        self.called.append((function.name, arguments))
        scope: dict[str, Any] = {}
        exec(function.code, scope)
        try:
            return CallResult(outcome="value", value=scope[function.name](**arguments))
        except Exception as error:
            return CallResult(outcome="exception", error=f"{type(error).__name__}: {error}")

    async def offered(self, episode: Episode) -> tuple[Tool, ...]:
        return ()

    async def tune(self, plan: TuningPlan) -> str:
        self.plans.append(plan)
        if self._script and isinstance(self._script[0], Exception):
            raise self._script.pop(0)  # type: ignore[misc]
        return f"test/tuned-{plan.data.hash}-{plan.seed}"

    async def prefer(self, a: Episode, b: Episode) -> Preference:
        if self.preferred is None:
            raise ConfigError("the run has no critic that compares", key="critic")
        self.compared.append((a.id, b.id))
        return self.preferred(a, b)

    async def publish(self, event: Event) -> None:
        self.events.append(event)

    @property
    def edits(self) -> list[EditProposed]:
        return [event for event in self.events if isinstance(event, EditProposed)]

    @property
    def refusals(self) -> list[str]:
        return [event.refused for event in self.edits if event.refused]

    @property
    def trimmed(self) -> list[PromptTrimmed]:
        return [event for event in self.events if isinstance(event, PromptTrimmed)]

    def prompt(self, at: int = -1) -> str:
        return self.asked[at].messages[1].content


def calls(*made: tuple[str, Any], content: str = "", finish: Finish = "tool_calls") -> Reply:
    """A reply that calls actions; arguments that are no text are sent as JSON."""
    return Reply(
        message=Message(
            role="assistant",
            content=content,
            tool_calls=tuple(
                ToolCall(
                    id=f"call_{at}",
                    name=name,
                    arguments=values if isinstance(values, str) else json.dumps(values),
                )
                for at, (name, values) in enumerate(made)
            ),
        ),
        finish=finish,
    )


def says(text: str, finish: Finish = "stop") -> Reply:
    return Reply(message=Message(role="assistant", content=text), finish=finish)


def source(name: str, body: str = "return x + 1", parameters: str = "x") -> str:
    return f"def {name}({parameters}):\n    {body}\n"


def values(name: str, code: str | None = None, **changes: Any) -> dict[str, Any]:
    """The arguments of a proper add_function or revise_function."""
    return {
        "name": name,
        "description": f"Does {name}.",
        "arguments": {
            "type": "object",
            "properties": {"x": {"type": "integer", "description": "a number"}},
            "required": ["x"],
        },
        "packages": [],
        "code": code or source(name),
        **changes,
    }


def add(name: str, code: str | None = None, **changes: Any) -> tuple[str, Any]:
    return ("add_function", values(name, code, **changes))


def revise(name: str, code: str | None = None, **changes: Any) -> tuple[str, Any]:
    return ("revise_function", values(name, code, **changes))


def remove(name: str) -> tuple[str, Any]:
    return ("remove_function", {"name": name})


TERMINATE = ("terminate", {})


def function(name: str, code: str | None = None) -> Function:
    """A function as the checks leave it."""
    data = values(name, code)
    data["arguments"]["additionalProperties"] = False
    return Function.from_json(data)


def episode(
    task_id: str,
    score: float = 0.0,
    *,
    said: Sequence[Message] = (),
    called: Iterable[FunctionCall] = (),
    comment: str = "",
    answer: str | None = "?",
    prompt: str = "",
) -> Episode:
    job = Job(evaluation="train/0", parameters_version="v", task_id=task_id)
    prompt = prompt or f"What is {task_id}?"
    return Episode(
        id=job.episode_id,
        run_id="run",
        job=job,
        prompt=prompt,
        messages=(
            Message(role="system", content="Solve it."),
            Message(role="user", content=prompt),
            *said,
        ),
        calls=tuple(called),
        answer=answer,
        end="answered",
        score=Score(value=score, comment=comment),
    )


def situation(
    *episodes: Episode,
    functions: Sequence[Function] = (),
    targets: Mapping[str, str] | None = None,
    **changes: Any,
) -> Situation:
    tasks = {
        e.job.task_id: Task(
            id=e.job.task_id, prompt=e.prompt, target=(targets or {}).get(e.job.task_id)
        )
        for e in episodes
    }
    batch = Batch(
        parameters=Parameters(functions=tuple(sorted(functions, key=lambda f: f.name))),
        episodes=tuple(episodes),
        tasks=tasks,
        comments=bool(changes.pop("comments", False)),
    )
    return replace(Situation(step=1, batch=batch), **changes)
