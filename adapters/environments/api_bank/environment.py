"""API-Bank as an environment: each session has databases of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ....engine.canonical import canonical_json
from ....engine.errors import ConfigError, EnvironmentFailed
from ....engine.messages import Tool
from ....engine.ports import CallResult
from ....engine.tasks import Task
from .apis import APIS
from .descriptions import SEARCHER, Descriptions, read_descriptions, tool
from .search import ToolIndex
from .store import Databases, Rejected, State

FOLDER = "init_database"
_KEPT_CALLS = 8  # in a snapshot; the first one is what counts
_KEPT_CHANGES = 64_000  # characters


class ApiBank:
    """An `Environment` of the APIs that a task names in `metadata["apis"]`; else of all.

    Args:
        path: The folder with `api_descriptions.json` and `init_database/`.

    Raises:
        ConfigError: On construction: a file is missing or wrong.
    """

    def __init__(self, path: str | Path) -> None:
        folder = Path(path)
        self.descriptions = read_descriptions(folder)
        self.databases = Databases(folder / FOLDER)
        found = {name: entry for name, entry in self.descriptions.items() if name != SEARCHER}
        self._index = ToolIndex(found)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all APIs."""
        return tuple(sorted(self.descriptions))

    @asynccontextmanager
    async def open(self, task: Task, *, seed: int) -> AsyncGenerator[ApiBankSession]:
        """Open a session on fresh databases."""
        names = task.metadata.get("apis", self.names)
        unknown = [name for name in names if name not in self.descriptions]
        if unknown:
            raise EnvironmentFailed(f"task {task.id} wants {unknown[0]}, which is not described")
        yield self.session(seed, names)

    def session(self, seed: int, names: Any = None) -> ApiBankSession:
        """Return a session on fresh databases; it needs no closing."""
        tools = {name: tool(self.descriptions[name]) for name in sorted(names or self.names)}
        return ApiBankSession(State(self.databases, seed), tools, self.descriptions, self._index)


class ApiBankSession:
    """One episode's databases and the calls made on them."""

    def __init__(
        self,
        state: State,
        tools: Mapping[str, Tool],
        descriptions: Descriptions,
        index: ToolIndex,
    ) -> None:
        self._state = state
        self._tools = tools
        self._descriptions = descriptions
        self._index = index
        self._calls: list[Mapping[str, Any]] = []
        self._made = 0

    def tools(self) -> tuple[Tool, ...]:
        """Return the APIs of the task."""
        return tuple(self._tools.values())

    async def call(self, name: str, arguments: Mapping[str, Any]) -> CallResult:
        """Call an API; what it rejects is an exception for the model to read."""
        result = self.execute(name, arguments)
        self._made += 1
        if len(self._calls) < _KEPT_CALLS:
            self._calls.append(result)
        if result["exception"] is not None:
            return CallResult(outcome="exception", error=result["exception"])
        return CallResult(outcome="value", value=result["output"])

    def execute(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call an API and return the result in the recorded form: what checkers compare."""
        given = json.loads(canonical_json(dict(arguments)))
        output, exception = None, None
        try:
            if name == SEARCHER:
                output = self._search(**arguments)
            else:
                output = APIS[name](self._state, **arguments)
        except (Rejected, ValueError) as error:
            exception = str(error)
        # a copy: later calls change what this one returned
        copied = json.loads(json.dumps(output))
        return {
            "api_name": name,
            "input": given if self._descriptions[name]["input_parameters"] else None,
            "output": copied,
            "exception": exception,
        }

    def snapshot(self) -> Any:
        """Return the first calls with their results, and what they changed in the databases."""
        changes: Any = self._state.changes()
        if len(json.dumps(changes)) > _KEPT_CHANGES:
            changes = {name: len(rows) for name, rows in changes.items()}
        return {"calls": self._calls, "made": self._made, "changes": changes}

    def _search(self, keywords: str) -> Any:
        nearest = self._index.nearest(keywords)
        if nearest is None:
            raise Rejected("No tool fits these keywords.")
        found = self._descriptions[nearest]
        if "token" in found["input_parameters"] and found["name"] != "CheckToken":
            return [self._descriptions["GetUserToken"], found]
        return found


def api_bank(path: str | None = None) -> ApiBank:
    """Build the environment from the options of a config.

    Raises:
        ConfigError: There is no path, or its data are missing or wrong.
    """
    if path is None:
        raise ConfigError(
            "api_bank needs the folder with its descriptions and databases", key="environment.path"
        )
    made = ApiBank(path)
    made.databases.check()
    return made
