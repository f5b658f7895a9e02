"""The models that come with the package. They run in this process and need no LiteLLM.

    embedded/apprentice           solves by the functions it learns, and writes them
    embedded/api-caller           calls APIs as dialogues ask for it, imperfectly
    embedded/critic               judges trajectories by plain rules, imperfectly
    embedded/critic-random        judges by chance        } for measuring what a training does
    embedded/critic-adversarial   prefers what is bad     } with a bad critic
    embedded/critic-yes           finds everything good   }

None of them is a language model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import anyio.to_thread

from ...engine.errors import ModelConfigError
from ...engine.messages import Reply, Request
from . import api_caller, apprentice, embedded_critic

PROVIDER = "embedded"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A program that answers requests. Pure: equal requests, equal replies."""

    reply: Callable[[Request], Reply]
    takes_long: Callable[[Request], bool] = lambda request: False  # answered in a thread


MODELS: Mapping[str, Embedded] = {
    "apprentice": Embedded(apprentice.reply, apprentice.optimizes),
    "api-caller": Embedded(api_caller.reply),
    **{name: Embedded(reply) for name, reply in embedded_critic.CRITICS.items()},
}


async def complete_embedded(request: Request) -> Reply:
    """Answer a request. A search takes up to seconds: the event loop goes on meanwhile.

    Raises:
        ModelConfigError: There is no embedded model of this name.
    """
    name = request.model.partition("/")[2]
    model = MODELS.get(name)
    if model is None:
        known = ", ".join(f"{PROVIDER}/{one}" for one in MODELS)
        raise ModelConfigError(
            f"there is no model {PROVIDER}/{name}; there are {known}",
            kind="unknown_model",
            model=request.model,
        )
    started_s = time.monotonic()
    if model.takes_long(request):
        reply = await anyio.to_thread.run_sync(model.reply, request)
    else:
        reply = model.reply(request)
    return replace(reply, latency_s=time.monotonic() - started_s)
