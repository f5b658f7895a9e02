"""Places of quantities as phrases in a schema."""

from __future__ import annotations

from funcforge.adapters.models.apprentice.cues import Cue, cues_of, parse
from funcforge.adapters.models.apprentice.text import read

from tests.adapters.models.apprentice.problems import LEARNABLE, problems


def test_every_cue_is_read_back_from_its_phrase_and_finds_the_same() -> None:
    for family in LEARNABLE:
        for task in problems(family, 3):
            question = read(task.prompt)
            for cue, value in cues_of(question).items():
                assert parse(f"Put here {cue.phrase()}.") == [cue]
                assert cue.find(question) == value


def test_a_cue_counts_among_those_with_the_same_words_around() -> None:
    question = read("Room 7 has 3 litres of 20% and 5 litres of 60%.")

    assert Cue("number", right=("litres",), nth=1).find(question) == 5
    assert Cue("number", left=("of",), right=("%",), nth=1).find(question) == 60
    assert Cue("number", right=("litres",), nth=2).find(question) is None


def test_a_description_without_phrases_gives_no_cue() -> None:
    assert parse('the distance in km, or "the 9th wonder"') == []
