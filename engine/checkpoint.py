"""What is stored of a run so that it can go on, be replayed and be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .messages import Reply, Request

RunKind = Literal["train", "evaluate", "compare", "replay"]
RunStatus = Literal["running", "done", "failed", "paused", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One training, evaluation or comparison."""

    id: str
    kind: RunKind
    name: str  # of the config; for people
    config: Mapping[str, Any]  # complete, after all overrides; never holds a secret
    seed: int
    task_hashes: Mapping[str, str] = field(default_factory=dict)  # split -> content hash
    status: RunStatus = "running"
    created_at_unix_s: float = 0.0
    sandbox: str = ""  # backend in use; "unsafe" is shown in red in every view
    part_of: str = ""  # the run that began this one for itself; empty: none


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A model call that was answered, at its place in the run."""

    run_id: str
    scope: str  # the episode's id, or "step/3/optimizer"
    index: int  # number within the scope, from 0
    repeat: int  # of the episode: equal requests of different repeats are different draws
    request_hash: str
    request: Request
    reply: Reply
    attempts: int = 1
    at_unix_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where the trainer stands between two steps. All state is in here; nothing is hidden."""

    step: int  # steps done
    state: Mapping[str, Any]  # JSON: the trainer's state, the optimizer's state within it
