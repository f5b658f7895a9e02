"""Splits task sets of any size by seed, without loading a prompt."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .errors import TaskError
from .tasks import Split, Splits, Task, TaskSet

Positions = Sequence[int]
# who draws first: the size of a later split never moves a task into or out of an earlier one,
# so that the sealed test stays the same whatever is trained on
DRAWN: tuple[Split, ...] = ("test", "validation", "train")
_BUCKETS = 4096


@dataclass(slots=True, kw_only=True)
class TaskIndex:
    """What splitting needs to know of tasks: 18 bytes each."""

    keys: array[int] = field(default_factory=lambda: array("Q"))  # hash of the id
    digests: array[int] = field(default_factory=lambda: array("Q"))  # hash of all content
    categories: array[int] = field(default_factory=lambda: array("H"))  # place in `names`
    names: list[str] = field(default_factory=list)
    groups: dict[int, int] = field(default_factory=dict)  # position -> hash, where there is one
    _places: dict[str, int] = field(default_factory=dict, repr=False)

    def add(self, task_id: str, content: str, category: str = "", group: str | None = None) -> None:
        """Note one more task.

        Args:
            group: Tasks of one group never stand in two splits: what one shows, another asks.

        Raises:
            TaskError: More than 65,535 categories: the column holds something else.
        """
        place = self._places.get(category)
        if place is None:
            if len(self.names) == 65_535:
                raise TaskError("more than 65,535 categories; is the category column an id?")
            place = self._places[category] = len(self.names)
            self.names.append(category)
        if group is not None:
            self.groups[len(self.keys)] = hash64(group)
        self.keys.append(hash64(task_id))
        self.digests.append(hash64(content))
        self.categories.append(place)

    def __len__(self) -> int:
        return len(self.keys)


class IndexedTaskSet(TaskSet, Protocol):
    """A task set that can hand out tasks by position."""

    @property
    def index(self) -> TaskIndex: ...

    def pick(self, positions: Positions) -> Iterator[Task]:
        """Read the tasks at these positions, in this order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSize:
    """How many tasks a split takes, out of which categories."""

    count: int | Literal["rest"] = "rest"
    categories: frozenset[str] = frozenset()  # empty: all


class PickedTaskSet:
    """Some tasks of a larger set, in an order of their own. Holds positions only."""

    def __init__(self, base: IndexedTaskSet, positions: Positions) -> None:
        self._base = base
        self._positions = positions

    @property
    def hash(self) -> str:
        """Content hash of the picked tasks in order, wherever they stand in their file."""
        digests = self._base.index.digests
        return digest_of(digests[position] for position in self._positions)

    @property
    def keys(self) -> Iterator[int]:
        """Hash of each task's id."""
        keys = self._base.index.keys
        return (keys[position] for position in self._positions)

    def only(self, categories: Sequence[str], name: str) -> PickedTaskSet:
        """Return those of some categories: who else was drawn does not change with it.

        Raises:
            TaskError: There are none of a category. `name` says of which split.
        """
        index = self._base.index
        kinds = {index.categories[position] for position in self._positions}
        here = sorted(index.names[place] for place in kinds)
        missing = next((category for category in categories if category not in here), None)
        if missing is not None:
            shown = ", ".join(map(repr, here[:20]))
            raise TaskError(
                f"none of the {name} tasks is of the category {missing!r}; they are of {shown}",
                key=f"tasks.{name}",
            )
        wanted = {index.names.index(category) for category in categories}
        kept = (place for place in self._positions if index.categories[place] in wanted)
        return PickedTaskSet(self._base, array("Q", kept))

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[Task]:
        return self._base.pick(self._positions)


class IndexedList:
    """A task set in memory that can be split."""

    def __init__(self, tasks: Iterable[Task], *, category: str = "category") -> None:
        self._tasks = tuple(tasks)
        self.index = TaskIndex()
        for task in self._tasks:
            self.index.add(task.id, content_of(task), str(task.metadata.get(category, "")))
        twins = duplicates(self.index.keys)
        if twins:
            raise TaskError(f"the id {self._tasks[twins[0]].id!r} is used twice")

    @property
    def hash(self) -> str:
        """Content hash of all tasks in order."""
        return digest_of(self.index.digests)

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def pick(self, positions: Positions) -> Iterator[Task]:
        """Return the tasks at these positions, in this order."""
        return (self._tasks[position] for position in positions)


def split(
    tasks: IndexedTaskSet,
    sizes: Mapping[Split, SplitSize],
    *,
    seed: int,
    stratify: bool = False,
    source: str | None = None,
) -> Splits:
    """Draw the splits at random, each task into one at most.

    A group that a split's count cuts through loses its other tasks, so that counts stay exact.

    Args:
        tasks: The pool.
        sizes: What each split takes; "rest" takes what the others leave.
        seed: Equal seeds draw equal splits, in whatever order the pool's file is.
        stratify: Draw each category in proportion to its share of the pool.
        source: Name of the pool for messages.

    Raises:
        TaskError: The pool is too small, a split would be empty, or a category is unknown.
    """
    index = tasks.index
    order: Positions = shuffled(_lots(index), seed)
    if stratify:
        order = proportional(order, index.categories, len(index.names))
    _check_categories(index.names, sizes, source)
    taken = bytearray(len(index))
    picked: dict[Split, PickedTaskSet] = {}
    # fixed counts first: a rest is what they leave
    for name in sorted((n for n in DRAWN if n in sizes), key=lambda n: sizes[n].count == "rest"):
        size = sizes[name]
        allowed = {index.names.index(category) for category in size.categories}
        positions = _draw(order, taken, index.categories, size.count, allowed)
        wanted = 1 if size.count == "rest" else size.count
        if len(positions) < wanted:
            raise TaskError(_too_few(index, sizes, name, len(positions)), file=source, key=name)
        picked[name] = PickedTaskSet(tasks, positions)
        _close_groups(index, positions, taken)
    return Splits(**picked)


def _lots(index: TaskIndex) -> Sequence[int]:
    """Return what each task is drawn by: its id, or its group, so that groups stay together."""
    if not index.groups:
        return index.keys
    lots = array("Q", index.keys)
    for position, group in index.groups.items():
        lots[position] = group
    return lots


def _close_groups(index: TaskIndex, drawn: Positions, taken: bytearray) -> None:
    """Take the groups that were drawn from out of the pool."""
    if not index.groups:
        return
    closed = {index.groups[position] for position in drawn if position in index.groups}
    for position, group in index.groups.items():
        if group in closed:
            taken[position] = 1


def shuffled(keys: Sequence[int], seed: int) -> array[int]:
    """Return all positions in an order drawn from the seed and the ids alone.

    Sorted bucket by bucket, so that only the result and one bucket are in memory as objects.
    """
    prefix = f"{seed}\x00".encode()
    mixed = array("Q", (hash64(prefix + key.to_bytes(8, "big")) for key in keys))
    return _sorted_positions(mixed)


def duplicates(keys: Sequence[int]) -> list[int]:
    """Return the positions whose key stood at an earlier position too, ascending."""
    order = _sorted_positions(array("Q", keys))
    later = (
        position
        for before, position in zip(order, memoryview(order)[1:], strict=False)
        if keys[before] == keys[position]
    )
    return sorted(later)


def proportional(order: Positions, categories: Sequence[int], count: int) -> array[int]:
    """Reorder so that every stretch from the start holds each category in proportion.

    The n-th of a category's N tasks is due at (n - 1/2) / N of the way.
    """
    totals = [0] * count
    for category in categories:
        totals[category] += 1
    seen = [0] * count
    due = array("Q")
    for position in order:
        category = categories[position]
        due.append((2 * seen[category] + 1) * 2**62 // (2 * totals[category]))
        seen[category] += 1
    return array("Q", (order[place] for place in _sorted_positions(due, shift=62)))


def content_of(task: Task) -> str:
    """Return the text that a task is hashed by. Paths of files do not count, names do."""
    from .canonical import canonical_json

    return canonical_json(
        [task.id, task.prompt, task.target, sorted(task.files), dict(task.metadata)]
    )


def hash64(data: str | bytes) -> int:
    """Return 64 bits of a cryptographic hash."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big")


def digest_of(digests: Iterable[int]) -> str:
    """Return the content hash of tasks from the hashes of each."""
    digest = hashlib.sha256()
    for value in digests:
        digest.update(value.to_bytes(8, "big"))
    return digest.hexdigest()[:20]


def _sorted_positions(keys: array[int], *, shift: int = 64) -> array[int]:
    """Return the positions in ascending order of their keys, equal keys in order of position."""
    buckets = min(_BUCKETS, max(1, len(keys) // 64))
    counts = [0] * (buckets + 1)
    for key in keys:
        counts[(key * buckets) >> shift] += 1
    starts = [0] * (buckets + 1)
    for number in range(buckets):
        starts[number + 1] = starts[number] + counts[number]
    result = array("Q", bytes(8 * len(keys)))
    fill = list(starts)
    for position, key in enumerate(keys):
        bucket = (key * buckets) >> shift
        result[fill[bucket]] = position
        fill[bucket] += 1
    for number in range(buckets):
        part = result[starts[number] : fill[number]]
        result[starts[number] : fill[number]] = array("Q", sorted(part, key=keys.__getitem__))
    return result


def _draw(
    order: Positions,
    taken: bytearray,
    categories: Sequence[int],
    count: int | Literal["rest"],
    allowed: set[int],
) -> array[int]:
    drawn = array("Q")
    for position in order:
        if count != "rest" and len(drawn) == count:
            break
        if taken[position] or (allowed and categories[position] not in allowed):
            continue
        taken[position] = 1
        drawn.append(position)
    return drawn


def _check_categories(
    names: Sequence[str], sizes: Mapping[Split, SplitSize], source: str | None
) -> None:
    known = set(names)
    for name, size in sizes.items():
        unknown = sorted(size.categories - known)
        if unknown:
            shown = ", ".join(repr(each) for each in sorted(known)[:20])
            raise TaskError(
                f"there is no category {unknown[0]!r}; the categories are {shown}",
                file=source,
                key=name,
            )


def _too_few(index: TaskIndex, sizes: Mapping[Split, SplitSize], name: Split, found: int) -> str:
    wanted = [f"{each} {sizes[each].count}" for each in reversed(DRAWN) if each in sizes]
    size = sizes[name]
    of = f" of {', '.join(sorted(size.categories))}" if size.categories else ""
    have = "none" if found == 0 else f"only {found}"
    return (
        f"impossible split: {', '.join(wanted)} out of {len(index)} tasks; "
        f"{name} wants {'the rest' if size.count == 'rest' else size.count}{of} but {have} "
        f"{'is' if found == 0 else 'are'} left"
    )
