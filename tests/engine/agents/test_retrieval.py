"""Which demonstrations an agent is shown."""

from __future__ import annotations

import random

from funcforge.engine.agents.retrieval import Retriever, demonstration_tokens
from funcforge.engine.messages import Message, ToolCall
from funcforge.engine.parameters import Demonstration, Parameters


def shown(task_id: str, prompt: str, answer: str = "done") -> Demonstration:
    return Demonstration(
        task_id=task_id, prompt=prompt, messages=(Message(role="assistant", content=answer),)
    )


BOOK = Parameters(
    demonstrations=(
        shown("hotel", "Book a hotel room in Paris for two nights"),
        shown("alarm", "Set an alarm for seven in the morning"),
        shown("stock", "What is the price of the stock of Apple today"),
        shown("hotel2", "Book a room in a hotel in Rome"),
    )
)


def ids(picked: tuple[Demonstration, ...]) -> list[str]:
    return [one.task_id for one in picked]


def test_the_most_similar_stand_last_next_to_the_question() -> None:
    picked = Retriever(3, 10_000).pick(BOOK, "x", "Book a hotel room in Paris please")

    assert ids(picked)[-2:] == ["hotel2", "hotel"]
    assert len(picked) == 3


def test_at_most_so_many_are_shown_and_none_at_zero() -> None:
    assert ids(Retriever(1, 10_000).pick(BOOK, "x", "stock price")) == ["stock"]
    assert Retriever(0, 10_000).pick(BOOK, "x", "stock price") == ()
    assert Retriever(4, 10_000).pick(Parameters(), "x", "stock price") == ()


def test_a_task_is_never_shown_its_own_solution() -> None:
    picked = Retriever(4, 10_000).pick(BOOK, "hotel", "Book a hotel room in Paris for two nights")

    assert "hotel" not in ids(picked)
    assert len(picked) == 3


def test_what_does_not_fit_the_token_budget_is_passed_over_for_a_shorter_one() -> None:
    long = shown("long", "stock price of Apple", "x" * 3_000)
    book = Parameters(demonstrations=(*BOOK.demonstrations, long))
    retriever = Retriever(4, 100)

    picked = retriever.pick(book, "x", "stock price of Apple")

    assert "long" not in ids(picked)
    assert "stock" in ids(picked)
    assert sum(demonstration_tokens(one) for one in picked) <= 100


def test_calls_count_against_the_budget() -> None:
    call = ToolCall(id="c", name="f", arguments="x" * 300)
    one = Demonstration(
        task_id="t", prompt="p", messages=(Message(role="assistant", tool_calls=(call,)),)
    )

    assert demonstration_tokens(one) >= 100


def test_ties_go_to_the_earlier_and_equal_books_give_equal_picks() -> None:
    same = Parameters(demonstrations=tuple(shown(f"t{n}", "the same words") for n in range(9)))

    assert ids(Retriever(3, 10_000).pick(same, "x", "the same words")) == ["t2", "t1", "t0"]
    assert ids(Retriever(3, 10_000).pick(same, "x", "nothing of it")) == ["t2", "t1", "t0"]


def test_many_versions_do_not_mix() -> None:
    retriever = Retriever(1, 10_000)
    books = [Parameters(demonstrations=(shown(f"v{n}", "word"),)) for n in range(20)]
    order = list(range(20)) * 3
    random.Random(0).shuffle(order)

    for n in order:
        assert ids(retriever.pick(books[n], "x", "word")) == [f"v{n}"]
