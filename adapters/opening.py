"""How a run is opened. Apart from what opens it, whose imports a first view need not wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.ports import EventSink, Store
    from ..engine.run import Run


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a run is opened, beside its config.

    `run_id` names a new run; with `resume` it names the stopped run that goes on.
    """

    run_id: str | None = None
    resume: bool = False
    offline: bool = False  # a replay: `store` holds every reply, no provider is asked
    sinks: Sequence[EventSink] = ()
    screens: Sequence[EventSink] = ()
    store: Store | None = None  # None: the SQLite file that the config names
    # a run that begins this one for itself: it shares store, models, sandbox, budget and limits
    part_of: Run[Any] | None = None
