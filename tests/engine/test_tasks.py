from __future__ import annotations

from funcforge.engine.tasks import ListTaskSet, Task, split_key

TASKS = [Task(id="a", prompt="1", target="x"), Task(id="b", prompt="2")]


def test_a_list_keeps_its_order_and_can_be_iterated_again() -> None:
    tasks = ListTaskSet(TASKS)

    assert list(tasks) == list(tasks) == TASKS
    assert len(tasks) == 2


def test_the_hash_tells_content_and_order() -> None:
    assert ListTaskSet(TASKS).hash == ListTaskSet(list(TASKS)).hash
    assert ListTaskSet(TASKS).hash != ListTaskSet(TASKS[::-1]).hash
    assert ListTaskSet(TASKS[:1]).hash != ListTaskSet([Task(id="a", prompt="1")]).hash


def test_the_key_depends_on_seed_and_id_only() -> None:
    assert split_key(1, "a") == split_key(1, "a")
    assert (
        len({split_key(1, "a"), split_key(2, "a"), split_key(1, "b"), split_key(1, "\ud800")}) == 4
    )
