from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from funcforge.engine.errors import TaskError
from funcforge.engine.task_sets import (
    IndexedList,
    SplitSize,
    TaskIndex,
    duplicates,
    proportional,
    shuffled,
    split,
)
from funcforge.engine.tasks import Splits, Task, TaskSet


def pool(count: int = 100, *, categories: str = "aab") -> IndexedList:
    return IndexedList(
        [
            Task(
                id=f"t{n}",
                prompt=f"p{n}",
                target="x",
                metadata={"category": categories[n % len(categories)]},
            )
            for n in range(count)
        ]
    )


def ids(tasks: TaskSet | None) -> list[str]:
    return [task.id for task in tasks or ()]


def sizes(**counts: Any) -> dict[Any, SplitSize]:
    return {name: SplitSize(count=count) for name, count in counts.items()}


def test_splits_have_their_sizes_and_share_no_task() -> None:
    splits = split(pool(), sizes(train=20, validation=10, test=30), seed=1)

    drawn = [*ids(splits.train), *ids(splits.validation), *ids(splits.test)]
    assert [len(s or ()) for s in (splits.train, splits.validation, splits.test)] == [20, 10, 30]
    assert len(set(drawn)) == 60


def test_equal_seeds_draw_equal_splits_and_others_do_not() -> None:
    one, same, other = (split(pool(), sizes(train=20, test=20), seed=s) for s in (1, 1, 2))

    assert ids(one.train) == ids(same.train)
    assert ids(one.train) != ids(other.train)


def test_the_order_of_the_file_does_not_matter() -> None:
    forward = pool()
    backward = IndexedList(reversed(list(forward)))

    one = split(forward, sizes(train=20, test="rest"), seed=1)
    two = split(backward, sizes(train=20, test="rest"), seed=1)

    assert ids(one.train) == ids(two.train)
    assert ids(one.test) == ids(two.test)
    assert one.test is not None
    assert two.test is not None
    assert one.test.hash == two.test.hash


def test_the_sealed_test_stays_the_same_whatever_is_trained_on() -> None:
    few = split(pool(), sizes(train=5, test=30), seed=1)
    many = split(pool(), sizes(train="rest", validation=10, test=30), seed=1)

    assert ids(few.test) == ids(many.test)


def test_the_rest_is_all_that_is_left() -> None:
    splits = split(pool(), sizes(train="rest", test=30), seed=1)

    assert len(ids(splits.train)) == 70


def test_iterating_again_gives_the_same_tasks() -> None:
    train = split(pool(), sizes(train=20), seed=1).train

    assert ids(train) == ids(train)


def test_stratified_splits_hold_each_category_in_proportion() -> None:
    tasks = pool(300, categories="aaaaab" + "c" * 4)

    splits = split(tasks, sizes(train=20, test=50), seed=3, stratify=True)

    for picked, total in ((splits.train, 20), (splits.test, 50)):
        counts = Counter(task.metadata["category"] for task in picked or ())
        for category, share in (("a", 0.5), ("b", 0.1), ("c", 0.4)):
            assert abs(counts[category] - share * total) <= 1


def test_a_split_may_take_some_categories_only() -> None:
    wanted = {
        "train": SplitSize(count=10, categories=frozenset("a")),
        "test": SplitSize(count="rest", categories=frozenset("b")),
    }

    splits = split(pool(), wanted, seed=1)  # type: ignore[arg-type]

    assert {task.metadata["category"] for task in splits.train or ()} == {"a"}
    assert {task.metadata["category"] for task in splits.test or ()} == {"b"}


def test_an_impossible_split_says_what_is_needed_and_what_there_is() -> None:
    with pytest.raises(TaskError) as caught:
        split(pool(80), sizes(train=20, test=80), seed=1, source="tasks.jsonl")

    assert str(caught.value) == (
        "tasks.jsonl: train: impossible split: train 20, test 80 out of 80 tasks; "
        "train wants 20 but none is left"
    )


def test_an_empty_rest_is_impossible() -> None:
    with pytest.raises(TaskError, match="train wants the rest but none is left"):
        split(pool(80), sizes(train="rest", test=80), seed=1)


def test_an_unknown_category_names_the_known_ones() -> None:
    wanted = {"train": SplitSize(count=1, categories=frozenset({"z"}))}

    with pytest.raises(TaskError, match="no category 'z'; the categories are 'a', 'b'"):
        split(pool(), wanted, seed=1)  # type: ignore[arg-type]


def test_a_double_id_is_refused() -> None:
    with pytest.raises(TaskError, match="'x' is used twice"):
        IndexedList([Task(id="x", prompt="1"), Task(id="y", prompt="1"), Task(id="x", prompt="2")])


def test_content_hashes_tell_every_change() -> None:
    def of(**changes: Any) -> str:
        fields: dict[str, Any] = {"id": "x", "prompt": "p", "target": "t", **changes}
        return IndexedList([Task(**fields)]).hash

    changed = [of(), of(prompt="q"), of(target=None), of(id="y"), of(metadata={"a": 1}),
               of(files={"f": "/x"})]  # fmt: skip
    assert len(set(changed)) == len(changed)
    assert of() == of()
    assert of(files={"f": "/x"}) == of(files={"f": "/y"})


def test_shuffling_is_a_permutation_of_any_size() -> None:
    for count in (0, 1, 63, 64, 5000):
        index = TaskIndex()
        for n in range(count):
            index.add(f"t{n}", "")
        assert sorted(shuffled(index.keys, 7)) == list(range(count))


def test_duplicates_finds_every_later_twin() -> None:
    assert duplicates([5, 1, 5, 2, 1, 5]) == [2, 4, 5]


def test_proportional_keeps_the_order_within_a_category() -> None:
    order = proportional([3, 2, 1, 0, 4, 5], [0, 0, 0, 0, 1, 1], 2)

    assert [p for p in order if p < 4] == [3, 2, 1, 0]
    assert sum(1 for p in order[:3] if p >= 4) == 1


def test_splits_of_nothing_asked_are_empty() -> None:
    assert split(pool(), sizes(test=1), seed=1).train is Splits().train
