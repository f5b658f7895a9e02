"""Runs the code: loads a function, calls one, or runs the blocks of an episode."""

from __future__ import annotations

import ast
import asyncio
import base64
import inspect
import json
import os
import random
import sys
import types
from collections.abc import Callable
from typing import Any

from .channel import Channel
from .failures import describe
from .imports import foreign_imports
from .limits import Limits, limit_cpu
from .output import Output
from .values import cut, safe_repr, to_json

_ONCE = ("check", "call")  # after these the process has done its work


class Worker:
    """Serves the engine over one channel: one call or check, or block after block."""

    def __init__(
        self, channel: Channel, limits: Limits, packages: tuple[str, ...], hidden: dict[str, str]
    ) -> None:
        self._channel = channel
        self._limits = limits
        self._packages = packages
        self._hidden = hidden
        self._sources: dict[str, list[str]] = {}
        self._blocks = 0
        self._variables: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}

    def serve(self) -> None:
        """Answer requests until one was a call or a check, or the engine hangs up."""
        work: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "check": self._check,
            "call": self._call,
            "file": self._file,
            "define": self._define,
            "block": self._block,
        }
        while (request := self._channel.receive()) is not None:
            kind = request["do"]
            if kind in _ONCE:
                limit_cpu(self._limits)
            output = Output(
                lambda text: self._channel.send({"out": text}), self._limits.output_bytes
            )
            sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = output  # type: ignore[misc, assignment]
            try:
                answer = work[kind](request)
            except BaseException as error:  # SystemExit and the like are data too
                answer = {"outcome": "exception", "error": self._describe(error)}
            output.finish()
            self._channel.send({"done": answer, "number": request["number"]})
            if kind in _ONCE:
                return

    def _describe(self, error: BaseException) -> str:
        return describe(error, self._sources, self._hidden, self._packages)

    def _check(self, request: dict[str, Any]) -> dict[str, Any]:
        tree = self._parse(request["code"], request["name"])
        foreign = foreign_imports(tree, self._packages)
        if foreign:
            allowed = ", ".join(self._packages) or "none"
            reason = f"imports {', '.join(foreign)}: only the standard library and these packages"
            return {"outcome": "refused", "error": f"{reason} are allowed: {allowed}"}
        function = self._load(tree, request["name"])
        problem = _mismatch(function, request["schema"])
        if problem:
            return {"outcome": "exception", "error": problem}
        return {"outcome": "value", "value": None}

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        self._seed()
        function = self._load(self._parse(request["code"], request["name"]), request["name"])
        result = function(**request["arguments"])
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        return {"outcome": "value", "value": self._value(result)}

    def _value(self, result: object) -> Any:
        limit = self._limits.output_bytes
        value = to_json(result, limit)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(text) > 2 * limit:  # many escapes or many small pieces
            return cut(text, limit)
        return value

    def _file(self, request: dict[str, Any]) -> dict[str, Any]:
        mode = "ab" if request["more"] else "wb"
        with open(request["name"], mode) as file:
            file.write(base64.b64decode(request["data"]))
        return {"outcome": "value", "value": None}

    def _define(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["name"]
        try:
            function = self._load(self._parse(request["code"], name), name)
        except BaseException as error:  # told when it is used, not before
            function = _raiser(f"{name} does not load: {self._describe(error)}")
        self._variables[name] = function
        return {"outcome": "value", "value": None}

    def _block(self, request: dict[str, Any]) -> dict[str, Any]:
        self._blocks += 1
        if self._blocks == 1:
            self._seed()
        name = f"<block {self._blocks}>"
        self._sources[name] = request["code"].split("\n")
        tree = ast.parse(request["code"], name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), self._variables)  # noqa: S102 - what a sandbox is for
        if isinstance(last, ast.Expr):
            code = compile(ast.Expression(last.value), name, "eval")
            value = eval(code, self._variables)  # noqa: S307 - as above
            if value is not None:
                self._variables["_"] = value
                print(safe_repr(value, self._limits.output_bytes))
        return {"outcome": "value", "value": None}

    def _parse(self, code: str, name: str) -> ast.Module:
        file = f"<{name}>"
        self._sources[file] = code.split("\n")
        return ast.parse(code, file)

    def _load(self, tree: ast.Module, name: str) -> Callable[..., Any]:
        file = f"<{name}>"
        # a module of its own: dataclasses and pickles look their module up
        module = types.ModuleType(f"function_{name}")
        sys.modules[module.__name__] = module
        exec(compile(tree, file, "exec"), module.__dict__)  # noqa: S102 - what a sandbox is for
        function = module.__dict__.get(name)
        if function is None:
            defined = [key for key in module.__dict__ if not key.startswith("__")]
            known = f"it defines {', '.join(defined[:20])}" if defined else "it defines nothing"
            raise NameError(f"the code does not define {name!r}; {known}")
        if not callable(function):
            raise TypeError(f"{name!r} is not a function but {type(function).__name__}")
        return function  # type: ignore[no-any-return]

    def _seed(self) -> None:
        random.seed(self._limits.seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(self._limits.seed)


def _mismatch(function: Callable[..., Any], schema: dict[str, Any]) -> str:
    """Return why calls by the schema cannot work, or nothing."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-ins do not tell
        return ""
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    taken = {p.name for p in parameters if p.kind in by_keyword}
    needed = [p.name for p in parameters if p.kind in by_keyword and p.default is p.empty]
    nameless = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    named = list(schema.get("properties", {}))
    spelt = f"the function takes ({', '.join(p.name for p in parameters)})"
    if nameless:
        return f"arguments are passed by name, but {', '.join(nameless)} can only go by position"
    if unknown := [name for name in named if name not in taken and not takes_any]:
        return f"the schema names {', '.join(unknown)}, but {spelt}"
    if missing := [name for name in needed if name not in named]:
        return f"the schema lacks {', '.join(missing)}: {spelt}"
    return ""


def _raiser(message: str) -> Callable[..., Any]:
    def unloaded(*_: object, **__: object) -> None:
        raise RuntimeError(message)

    return unloaded


def answer_then_die(worker: Worker) -> None:
    """Serve, and end without running what the code left to be run at exit."""
    try:
        worker.serve()
    finally:
        os._exit(0)
