"""The official rules of GSM8K and TabMWP, case by case."""

from __future__ import annotations

from typing import Any

import pytest
from funcforge.adapters.scorers.gsm8k import gsm8k
from funcforge.adapters.scorers.tabmwp import tabmwp
from funcforge.engine.tasks import Task

GSM8K = [
    ("72", "72", 1), ("#### 72", "72", 1), ("It is 72.\n#### 72", "72", 1), ("####72", "72", 1),
    ("#### 1,080", "1080", 1), ("1080", "1,080", 1), ("#### 1080", "1,080", 1),
    ("#### -4", "-4", 1), ("#### −4", "-4", 1), ("#### 4", "-4", 0), ("-4", "4", 0),
    ("#### $18", "18", 1), ("$18", "18", 1), ("$18.00", "18", 1), ("18.", "18", 1),
    ("#### 18.0", "18", 1), ("#### 18.5", "18", 0), ("18 dollars", "18", 1),
    ("#### 5\nNo:\n#### 6", "6", 1), ("#### 5\nNo:\n#### 6", "5", 0),
    ("I take 3 and 5.\n#### 8", "8", 1), ("I take 3 and 5", "8", 0), ("3 or 5", "5", 0),
    ("The answer is 8", "8", 1), ("\\$8", "8", 1), ("eight", "8", 0), ("", "8", 0),
    ("####", "8", 0), ("#### eight", "8", 0), ("72%", "72", 0), ("720", "72", 0), ("7 2", "72", 0),
    ("072", "72", 1), ("+72", "72", 1), ("7.2e1", "72", 1), ("144/2", "72", 1), ("72/1", "72", 1),
    ("10,000,000", "10000000", 1), ("10,00", "1000", 0), ("1.080", "1080", 0),
    ("#### 2,125 miles", "2125", 1), ("**72**", "72", 1), ("0", "0", 1), ("-0", "0", 1),
    ("#### .5", "0.5", 1), ("1/3", "0.333", 0),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "target", "right"), GSM8K)
def test_gsm8k(answer: str, target: str, right: int) -> None:
    assert gsm8k(answer, target, Task(id="t", prompt="p")).value == right


YES_NO: dict[str, Any] = {"choices": ["linear", "nonlinear"]}
NAMES: dict[str, Any] = {"choices": ["Ann Lee", "Bob", "Carla Lee", "Deb"]}
TABMWP = [
    # free text, numbers
    ({}, "10", "10", 1), ({}, "10.", "10", 1), ({}, "The answer is 10.", "10", 1),
    ({}, "the answer is 10", "10", 1), ({}, "$1.40", "1.40", 1), ({}, "1.4", "1.40", 1),
    ({}, "$1.4", "1.40", 1), ({}, "1.41", "1.40", 0), ({}, "4,656", "4,656", 1),
    ({}, "4656", "4,656", 1), ({}, "$4,656", "4656", 1), ({}, "3/10", "3/10", 1),
    ({}, "0.3", "3/10", 1), ({}, "6/20", "3/10", 1), ({}, r"\frac{3}{10}", "3/10", 1),
    ({}, r"$\frac{3}{10}$", "3/10", 1), ({}, "0.333", "1/3", 1), ({}, "0.33", "1/3", 0),
    ({}, "-3", "-3", 1), ({}, "−3", "-3", 1), ({}, "3", "-3", 0), ({}, "-$3", "-3", 1),
    ({}, "10.0", "10", 1), ({}, "10.0004", "10", 1), ({}, "10.004", "10", 0),
    ({}, "5 + 5 = 10", "10", 1), ({}, "It will be $1.40", "1.40", 1), ({}, "2 to 10", "10", 1),
    ({}, "10 and 12", "10", 0), ({}, "", "10", 0), ({}, "none", "10", 0), ({}, "3/0", "10", 0),
    # times
    ({}, "2:10 P.M.", "2:10 P.M.", 1), ({}, "2:10 p.m.", "2:10 P.M.", 1),
    ({}, "The answer is 2:10 P.M.", "2:10 P.M.", 1), ({}, "at 2:10 P.M.", "2:10 P.M.", 1),
    ({}, "2:10 A.M.", "2:10 P.M.", 0),
    # units
    ({"unit": "pounds"}, "10 pounds", "10", 1), ({"unit": "pounds"}, "10", "10", 1),
    ({"unit": "$"}, "$1,200", "1,200", 1), ({"unit": "$"}, "1200 dollars", "1,200", 1),
    ({"unit": "games per year"}, "-4 games per year", "-4", 1), ({"unit": "%"}, r"25\%", "25", 1),
    ({}, r"10 \text{ pounds}", "10", 1),
    # choices
    (YES_NO, "linear", "linear", 1), (YES_NO, "nonlinear", "linear", 0),
    (YES_NO, "Nonlinear", "nonlinear", 1), (YES_NO, "(B)", "nonlinear", 1),
    (YES_NO, "B", "nonlinear", 1), (YES_NO, "b", "nonlinear", 1), (YES_NO, "A", "nonlinear", 0),
    (YES_NO, "B. nonlinear", "nonlinear", 1), (YES_NO, "(A) linear", "linear", 1),
    (YES_NO, "The answer is B", "nonlinear", 1), (YES_NO, "The answer is (A).", "linear", 1),
    (YES_NO, "The function is nonlinear", "nonlinear", 1), (YES_NO, "Z", "linear", 0),
    (YES_NO, "cannot tell", "linear", 0), (YES_NO, r"\text{nonlinear}", "nonlinear", 1),
    (NAMES, "Carla Lee", "Carla Lee", 1), (NAMES, "Carla", "Carla Lee", 1),
    (NAMES, "The answer is Bob.", "Bob", 1), (NAMES, "Ann", "Carla Lee", 0),
    (NAMES, "D", "Deb", 1), (NAMES, "It is Deb", "Deb", 1),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "answer", "target", "right"), TABMWP)
def test_tabmwp(metadata: dict[str, Any], answer: str, target: str, right: int) -> None:
    assert tabmwp(answer, target, Task(id="t", prompt="p", metadata=metadata)).value == right


def test_at_least_forty_cases_of_each() -> None:
    assert len(GSM8K) >= 40
    assert len(TABMWP) >= 40
