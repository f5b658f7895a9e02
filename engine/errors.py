"""Every error funcforge raises, in one tree.

    FuncforgeError
    ├── ConfigError                 a person must change the config, a file or the environment
    │   ├── TaskError               a task file or row is wrong
    │   └── RunNotFound             no such run in the database
    ├── InvalidEdit                 an edit cannot be applied; the model that proposed it reads why
    ├── InvalidReply                a model or a sandbox sent something that is not what was agreed
    ├── ModelError                  a provider gave no usable reply
    │   ├── TransientModelError     retry: rate limit, overload, time-out, connection
    │   ├── RequestRefused          do not retry this request: bad request, too long, filtered
    │   └── ModelConfigError        fix your config: key, model name, permission, quota
    ├── TuningFailed                a fine-tuning job gave no model; a resumed run submits another
    ├── SandboxError                the sandbox, not the code inside it, failed
    │   └── SandboxUnavailable      no backend works on this machine
    ├── EnvironmentFailed           an environment raised, hung or broke its rules
    ├── WorkersLost                 the processes that run episodes die again and again; resumable
    ├── ScorerError                 a scorer raised or returned no score in [0, 1]
    │   └── CriticError             a critic gave no judgement in the agreed form
    ├── BudgetExhausted             a cap of the run is reached; resumable
    ├── Interrupted                 a person asked the run to stop; resumable
    ├── EvaluationVoid              too many episodes failed for the score to mean anything
    ├── ReplayDiffers               a replay left the record; carries the first difference
    └── StoreError                  the database cannot be used; names the file and what to do
        ├── StoreLocked             another process holds it
        ├── StoreTooNew             written by a newer funcforge
        ├── StoreCorrupt            not a database, or damaged
        └── RunOwned                a living process works on this run

Foreign exceptions are translated once, at their adapter.
"""

from __future__ import annotations

from typing import Literal

TransientKind = Literal[
    "rate_limit", "overloaded", "timeout", "connection", "server_error", "invalid_reply"
]
RefusedKind = Literal["bad_request", "context_too_long", "content_filter"]
TuningKind = Literal["failed", "rejected", "gone", "cancelled", "timeout", "unsupported", "no_data"]
ModelConfigKind = Literal["auth", "unknown_model", "permission", "quota", "unsupported"]


class FuncforgeError(Exception):
    """Base of every error that funcforge raises on purpose."""


class ConfigError(FuncforgeError):
    """What a person wrote cannot be used.

    Attributes:
        file: The file, or None when it did not come from one.
        key: Dotted key, column or variable, or None.
    """

    def __init__(self, message: str, *, file: str | None = None, key: str | None = None) -> None:
        self.file = file
        self.key = key
        where = ": ".join(part for part in (file, key) if part)
        super().__init__(f"{where}: {message}" if where else message)


class TaskError(ConfigError):
    """A task file or one of its rows is wrong."""


class RunNotFound(ConfigError):
    """The database holds no run with this id."""


class InvalidEdit(FuncforgeError):
    """An edit cannot be applied. The message is written for the model that proposed it."""


class InvalidReply(FuncforgeError):
    """Untrusted output (of a model, a sandbox or a file) breaks the agreed form."""


class ModelError(FuncforgeError):
    """A provider gave no usable reply.

    Attributes:
        kind: What went wrong, one word out of a fixed list.
        model: The model asked, as `provider/model`.
        billed: Whether the provider may have charged for the attempt.
    """

    def __init__(self, message: str, *, kind: str, model: str = "", billed: bool = False) -> None:
        self.kind = kind
        self.model = model
        self.billed = billed
        super().__init__(message)


class TransientModelError(ModelError):
    """Asking again later may work. `retry_after_s` is the provider's own wish, if it named one."""

    def __init__(
        self,
        message: str,
        *,
        kind: TransientKind,
        model: str = "",
        billed: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, kind=kind, model=model, billed=billed)


class RequestRefused(ModelError):
    """This request will never be answered; other requests may be."""

    def __init__(
        self, message: str, *, kind: RefusedKind, model: str = "", billed: bool = False
    ) -> None:
        super().__init__(message, kind=kind, model=model, billed=billed)


class ModelConfigError(ModelError):
    """No request will be answered until a person changes the configuration."""

    def __init__(self, message: str, *, kind: ModelConfigKind, model: str = "") -> None:
        super().__init__(message, kind=kind, model=model)


class TuningFailed(FuncforgeError):
    """A fine-tuning job gave no model.

    Attributes:
        kind: What went wrong.
        job_id: The job, or None if none was accepted.
    """

    def __init__(self, message: str, *, kind: TuningKind, job_id: str | None = None) -> None:
        self.kind = kind
        self.job_id = job_id
        super().__init__(message)


class SandboxError(FuncforgeError):
    """The sandbox failed, not the code inside it."""


class SandboxUnavailable(SandboxError):
    """No sandbox backend works here. The message names the command that installs one."""


class EnvironmentFailed(FuncforgeError):
    """An environment, not the agent in it, failed: it raised, hung or returned what is not due."""


class WorkersLost(FuncforgeError):
    """The processes that run episodes die again and again. The message says how the last one did.

    What was paid for is kept: the run can be resumed when the cause is gone.
    """


class ScorerError(FuncforgeError):
    """A scorer raised, hung, or returned something that is not a score in [0, 1]."""


class CriticError(ScorerError):
    """A critic gave no judgement in the agreed form, however often it was told."""


class BudgetExhausted(FuncforgeError):
    """A cap of the run is reached. The run is resumable with a larger one.

    Attributes:
        cap: Which cap: calls, tokens, cost_usd or seconds.
        limit: Its value, in the cap's own unit.
    """

    def __init__(self, message: str, *, cap: str, limit: float) -> None:
        self.cap = cap
        self.limit = limit
        super().__init__(message)


class Interrupted(FuncforgeError):
    """A person or the embedding application asked the run to stop. It is resumable."""


class EvaluationVoid(FuncforgeError):
    """Too many episodes failed for the score to mean anything.

    Attributes:
        failed: Failed episodes.
        episodes: All episodes of the evaluation that ended.
        causes: Error kind -> count.
    """

    def __init__(self, message: str, *, failed: int, episodes: int, causes: dict[str, int]) -> None:
        self.failed = failed
        self.episodes = episodes
        self.causes = causes
        super().__init__(message)


class ReplayDiffers(FuncforgeError):
    """A replay asked for something that the record does not hold."""


class StoreError(FuncforgeError):
    """The database cannot be used. Attribute `path` is its file."""

    def __init__(self, message: str, *, path: str) -> None:
        self.path = path
        super().__init__(message)


class StoreLocked(StoreError):
    """Another process holds the database."""


class StoreTooNew(StoreError):
    """A newer funcforge wrote the database."""


class StoreCorrupt(StoreError):
    """The file is no database, or a damaged one."""


class RunOwned(StoreError):
    """A living process works on this run."""


def ours_in(error: BaseException) -> FuncforgeError | None:
    """Return the first error of ours, also out of the groups that task groups put errors in."""
    if isinstance(error, BaseExceptionGroup):
        found = (ours_in(inner) for inner in error.exceptions)
        return next((ours for ours in found if ours is not None), None)
    return error if isinstance(error, FuncforgeError) else None
