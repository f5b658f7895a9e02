"""What only the store in memory has."""

from __future__ import annotations

from funcforge.engine.checkpoint import Checkpoint
from funcforge.storage.memory import MemoryStore

from tests.storage.content import RUN, USAGE, call, run


async def test_a_crash_frees_the_runs_and_keeps_what_was_acknowledged() -> None:
    store = MemoryStore()
    await store.begin(run())
    await store.commit_call(call())
    await store.save_checkpoint(RUN, Checkpoint(step=1, state={"a": (1, 2)}))

    store.crash()
    await store.begin(run())

    assert await store.used(RUN) == USAGE
    assert await store.load_checkpoint(RUN) == Checkpoint(step=1, state={"a": [1, 2]})


async def test_what_is_changed_after_a_checkpoint_does_not_reach_it() -> None:
    store = MemoryStore()
    await store.begin(run())
    state = {"scores": [1]}

    await store.save_checkpoint(RUN, Checkpoint(step=1, state=state))
    state["scores"].append(2)

    assert await store.load_checkpoint(RUN) == Checkpoint(step=1, state={"scores": [1]})
