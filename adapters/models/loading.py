"""Imports LiteLLM late, quietly and without the network."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# from, below: the fast lane's golden tests passed with 1.75.9, 1.90.7 and 1.106.2
TESTED = ((1, 75), (1, 107))

_IMPORT_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # the price map in the package, not from the network
    "LITELLM_MODE": "PRODUCTION",  # otherwise it loads a .env file into this process
}
_lock = threading.Lock()  # two threads that load at once must not restore each other's variables


def load_litellm() -> Any:
    """Return the `litellm` module: about 2 s at the first call, so call it in a thread.

    Its price map is the packaged one, the environment stays as it was, and its own chatter on
    stdout and stderr is off, unless the application has imported it before us.
    """
    with _lock:
        module = sys.modules.get("litellm")
        if module is None:
            with _environment(_IMPORT_ENVIRONMENT):
                module = _import()
            # its loggers print to stderr by handlers of their own; errors reach us as exceptions
            for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
    litellm: Any = module
    litellm.suppress_debug_info = True  # it prints "Give Feedback" to stdout at every error
    return litellm


def litellm_version() -> tuple[int, ...]:
    """Return the installed version without importing it."""
    from importlib.metadata import version

    return tuple(int(part) for part in re.findall(r"\d+", version("litellm"))[:3])


def is_tested_version() -> bool:
    """Whether the installed LiteLLM is one that the fast lane is tested with."""
    return TESTED[0] <= litellm_version() < TESTED[1]


def _import() -> ModuleType:
    import litellm

    with warnings.catch_warnings():
        # building its reply classes makes pydantic warn about a field of theirs; do it here, once
        warnings.simplefilter("ignore")
        litellm.ModelResponse()
    return litellm


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
