"""Everything learnable, immutable and versioned, and the edits that make the next version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .canonical import content_hash
from .errors import InvalidEdit
from .functions import Function
from .messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A worked example that the agent is shown: a task's prompt and a good conversation on it."""

    task_id: str
    prompt: str
    messages: tuple[Message, ...]  # after the prompt: the agent's turns and tool results

    def to_json(self) -> dict[str, Any]:
        """Return the demonstration in the form that is hashed and stored."""
        return {
            "task_id": self.task_id,
            "prompt": self.prompt,
            "messages": [message.to_json() for message in self.messages],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Demonstration:
        """Read what `to_json` wrote."""
        return cls(
            task_id=data["task_id"],
            prompt=data["prompt"],
            messages=tuple(Message.from_json(message) for message in data["messages"]),
        )


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """One version of everything that is learned."""

    functions: tuple[Function, ...] = ()  # sorted by name
    instructions: str = ""  # added to the agent's system prompt
    demonstrations: tuple[Demonstration, ...] = ()
    model: str | None = None  # a fine-tuned model that replaces the configured one

    @cached_property
    def version(self) -> str:
        """Content hash: two versions with equal content are one version."""
        return content_hash(self.to_json())

    def function(self, name: str) -> Function | None:
        """Return the function of this name, if there is one."""
        return next((function for function in self.functions if function.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters in the form that is hashed, stored and exported."""
        return {
            "functions": [function.to_json() for function in self.functions],
            "instructions": self.instructions,
            "demonstrations": [demonstration.to_json() for demonstration in self.demonstrations],
            "model": self.model,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Parameters:
        """Read what `to_json` wrote."""
        return cls(
            functions=tuple(Function.from_json(function) for function in data["functions"]),
            instructions=data["instructions"],
            demonstrations=tuple(Demonstration.from_json(d) for d in data["demonstrations"]),
            model=data["model"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFunction:
    """Make a new function."""

    function: Function


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviseFunction:
    """Replace the function of the same name."""

    function: Function


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFunction:
    """Take a function away."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetInstructions:
    """Replace the instructions."""

    instructions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDemonstration:
    """Show one more worked example; a later one for the same task replaces the earlier."""

    demonstration: Demonstration


@dataclass(frozen=True, slots=True, kw_only=True)
class SetModel:
    """Let the agent run on another model, such as a fine-tuned one."""

    model: str


Edit = AddFunction | ReviseFunction | RemoveFunction | SetInstructions | AddDemonstration | SetModel


def apply(edits: Sequence[Edit], parameters: Parameters) -> Parameters:
    """Return the next version of `parameters`. Pure: the old version stays valid.

    Raises:
        InvalidEdit: An edit adds a name that exists, or revises or removes one that does not.
            The message is written for the model that proposed it.
    """
    for edit in edits:
        parameters = _apply_one(edit, parameters)
    return parameters


def _apply_one(edit: Edit, parameters: Parameters) -> Parameters:
    functions = {function.name: function for function in parameters.functions}
    match edit:
        case AddFunction(function=function):
            if function.name in functions:
                raise InvalidEdit(
                    f"A function named {function.name!r} exists. Revise it, or add the new one "
                    "under another name."
                )
            functions[function.name] = function
        case ReviseFunction(function=function):
            if function.name not in functions:
                raise InvalidEdit(
                    f"There is no function named {function.name!r} to revise. {_known(functions)}"
                )
            functions[function.name] = function
        case RemoveFunction(name=name):
            if name not in functions:
                raise InvalidEdit(
                    f"There is no function named {name!r} to remove. {_known(functions)}"
                )
            del functions[name]
        case SetInstructions(instructions=instructions):
            return replace(parameters, instructions=instructions)
        case AddDemonstration(demonstration=new):
            kept = [d for d in parameters.demonstrations if d.task_id != new.task_id]
            return replace(parameters, demonstrations=(*kept, new))
        case SetModel(model=model):
            return replace(parameters, model=model)
    # sorted, so that the same set reached by another route is the same version
    ordered = tuple(functions[name] for name in sorted(functions))
    return replace(parameters, functions=ordered)


def edit_to_json(edit: Edit) -> dict[str, Any]:
    """Return an edit in the form that is stored and shown."""
    match edit:
        case AddFunction(function=function) | ReviseFunction(function=function):
            return {"edit": type(edit).__name__, "function": function.to_json()}
        case RemoveFunction(name=name):
            return {"edit": "RemoveFunction", "name": name}
        case SetInstructions(instructions=instructions):
            return {"edit": "SetInstructions", "instructions": instructions}
        case AddDemonstration(demonstration=demonstration):
            return {"edit": "AddDemonstration", "demonstration": demonstration.to_json()}
        case SetModel(model=model):
            return {"edit": "SetModel", "model": model}


def _known(functions: Mapping[str, Function]) -> str:
    if not functions:
        return "There are no functions yet."
    return f"The functions are: {', '.join(sorted(functions))}."
