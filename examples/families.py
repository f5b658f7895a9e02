r"""Makes word problems to learn from: families of templates, with numbers that do not matter.

    python examples/families.py --seed 7 --per-family 25 --out tasks.jsonl

Each line is `{"id", "prompt", "target", "category"}`. Equal seeds give equal bytes. A family has
one rule and several wordings; names, things and quantities vary, and most problems carry a sentence
with a number that has nothing to do with the answer. Answers are whole numbers, or rounded half up
to as many decimals as the question says.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

Values = Mapping[str, Any]

NAMES = (
    *("Ana", "Ben", "Chloe", "Dmitri", "Elif", "Farid", "Greta", "Hana"),
    *("Ivo", "Jun", "Kofi", "Lena", "Mateo", "Nadia", "Omar", "Priya"),
)
DISTRACTORS = (
    "The clock on the wall is {n} years old.",
    "There are {n} chairs in the room next door.",
    "Page {n} of the newspaper has a report about it.",
    "Bus number {n} stops nearby.",
    "{name} lives at number {n} and was not asked.",
    "A neighbour has {n} stamps.",
    "The radio plays song {n} of the day.",
    "It is {n} days until the town fair.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Word problems with one rule."""

    name: str
    wordings: Sequence[str]  # sentences divided by "|", the question last
    draw: Callable[[Random], dict[str, Any]]
    solve: Callable[[Values], Fraction | int]
    decimals: int = 0


def _between(low: int, high: int, step: int = 1) -> Callable[[Random], int]:
    return lambda rng: rng.randrange(low, high + 1, step)


def _drawn(**parts: Callable[[Random], Any]) -> Callable[[Random], dict[str, Any]]:
    return lambda rng: {name: part(rng) for name, part in parts.items()}


def _speed(rng: Random) -> dict[str, Any]:
    hours = rng.randint(2, 9)
    return {"km": hours * rng.randint(31, 119), "hours": hours, "who": _one_of(_RIDERS)(rng)}


def _one_of(choices: Sequence[Any]) -> Callable[[Random], Any]:
    return lambda rng: rng.choice(choices)


_RIDERS = ("train", "lorry", "coach", "motorbike", "tram")
_FRUITS = ("apple", "pear", "plum", "melon", "mango", "lemon")
_SIZES = ("small", "large")


def _shared(rng: Random) -> dict[str, Any]:
    factor = rng.randint(3, 14)
    first, second = rng.sample(range(4, 17), 2)
    return {"a": factor * first, "b": factor * second}


def _period(rng: Random) -> dict[str, Any]:
    first = date(2023, 1, 1) + timedelta(days=rng.randrange(700))
    second = first + timedelta(days=rng.randint(9, 290))
    spelled = rng.random() < 0.5
    return {
        "first": _spell(first) if spelled else first.isoformat(),
        "second": _spell(second) if spelled else second.isoformat(),
        "days": (second - first).days,
    }


def _spell(day: date) -> str:
    months = "January February March April May June July August September October November December"
    return f"{day.day} {months.split()[day.month - 1]} {day.year}"


def _market(rng: Random) -> dict[str, Any]:
    fruits = rng.sample(_FRUITS, 4)
    prices = {fruit: {size: rng.randint(2, 29) for size in _SIZES} for fruit in fruits}
    lines = [" | ".join(["fruit", *_SIZES])]
    lines += [" | ".join([fruit, *map(str, row.values())]) for fruit, row in prices.items()]
    row, size, count = rng.choice(fruits), rng.choice(_SIZES), rng.randint(3, 19)
    table = "\n".join(lines)
    return {"table": table, "fruit": row, "size": size, "n": count, "cost": prices[row][size]}


def _marks(rng: Random) -> dict[str, Any]:
    values = [rng.randint(41, 99) for _ in range(rng.randint(4, 6))]
    text = ", ".join(map(str, values[:-1])) + f" and {values[-1]}"
    return {"values": values, "list": text, "name": rng.choice(NAMES)}


def _shift(rng: Random) -> dict[str, Any]:
    start, length = rng.randint(6 * 60, 11 * 60), rng.randint(150, 560)
    end = start + length
    clock = [f"{at // 60:02d}:{at % 60:02d}" for at in (start, end)]
    pause = rng.randrange(15, 75, 5)
    return {"start": clock[0], "end": clock[1], "pause": pause, "length": length}


def _digits(v: Values) -> int:
    return sum(str(page).count(str(v["digit"])) for page in range(1, v["pages"] + 1))


FAMILIES: tuple[Family, ...] = (
    Family(
        name="rate",
        wordings=(
            "A {who} covers {km} km in {hours} hours.|What is its average speed in km per hour?",
            "For {hours} hours a {who} is on its way and gets {km} km far.|"
            "How many km does it make in one hour on average?",
            "The {who} needs {hours} hours for a route of {km} km.|"
            "At which average speed, in km per hour, does it go?",
        ),
        draw=_speed,
        solve=lambda v: Fraction(v["km"], v["hours"]),
    ),
    Family(
        name="pay",
        wordings=(
            "{name} earns ${rate} an hour and works {hours} hours this week.|"
            "On top comes a bonus of ${bonus}.|How many dollars does {name} get this week?",
            "The boss promised {name} a bonus of ${bonus} besides the ${rate} an hour.|"
            "After {hours} hours the week is over.|How many dollars is the pay for the week?",
        ),
        draw=_drawn(
            name=_one_of(NAMES),
            rate=_between(12, 39),
            hours=_between(11, 44),
            bonus=_between(25, 180, 5),
        ),
        solve=lambda v: v["rate"] * v["hours"] + v["bonus"],
    ),
    Family(
        name="discount",
        wordings=(
            "A coat costs ${price}.|In the sale the shop takes {percent}% off.|"
            "What is the sale price in dollars?",
            "The shop gives a discount of {percent}% on a tent.|"
            "Before the discount it was ${price}.|How many dollars does the tent cost now?",
        ),
        draw=_drawn(price=_between(35, 890), percent=_between(5, 60, 5)),
        solve=lambda v: Fraction(v["price"] * (100 - v["percent"]), 100),
        decimals=2,
    ),
    Family(
        name="shared bill",
        wordings=(
            "{n} friends eat for ${bill}.|They add a tip of {percent}% and share evenly.|"
            "How many dollars does each friend pay?",
            "The bill in the restaurant is ${bill}, and a tip of {percent}% is added to it.|"
            "It is split into equal parts by {n} guests.|What does one guest pay in dollars?",
        ),
        draw=_drawn(n=_between(3, 9), bill=_between(48, 390), percent=_between(8, 22)),
        solve=lambda v: Fraction(v["bill"] * (100 + v["percent"]), 100 * v["n"]),
        decimals=2,
    ),
    Family(
        name="compound growth",
        wordings=(
            "{name} puts ${start} into a savings account with {rate}% interest a year.|"
            "The interest is added every year.|What is in the account after {years} years?",
            "A savings plan of {years} years pays {rate}% interest, compounded yearly.|"
            "{name} starts it with ${start}.|How many dollars has {name} at the end of the plan?",
        ),
        draw=_drawn(
            name=_one_of(NAMES),
            start=_between(200, 9000, 50),
            rate=_between(2, 9),
            years=_between(2, 12),
        ),
        solve=lambda v: v["start"] * Fraction(100 + v["rate"], 100) ** v["years"],
        decimals=2,
    ),
    Family(
        name="greatest common divisor",
        wordings=(
            "{name} has {a} red and {b} white roses for identical bunches, without any left over.|"
            "What is the largest number of bunches?",
            "A teacher hands out {a} red and {b} white pencils so that every child gets the same "
            "and none is left over.|How many children are there at most?",
        ),
        draw=lambda rng: {**_shared(rng), "name": rng.choice(NAMES)},
        solve=lambda v: math.gcd(v["a"], v["b"]),
    ),
    Family(
        name="least common multiple",
        wordings=(
            "Two lighthouses flash together now, one every {a} seconds, the other every {b} "
            "seconds.|In how many seconds do they flash together again?",
            "One bell rings every {a} seconds and another one every {b} seconds.|"
            "Both ring now.|After how many seconds will both ring at once the next time?",
        ),
        draw=_shared,
        solve=lambda v: math.lcm(v["a"], v["b"]),
    ),
    Family(
        name="dates",
        wordings=(
            "A library book was borrowed on {first} and brought back on {second}.|"
            "How many days was it away?",
            "The bridge was closed on {first} for repairs and opened again on {second}.|"
            "For how many days was it closed?",
        ),
        draw=_period,
        solve=lambda v: v["days"],
    ),
    Family(
        name="table look-up",
        wordings=(
            "Prices at the market, in dollars per box:\n{table}\n|"
            "{name} buys {n} boxes of the kind {fruit} in size {size}.|How many dollars is that?",
            "{table}\n|The list shows what a box costs.|"
            "What is the price of {n} boxes if they are {size} and the fruit is {fruit}?",
        ),
        draw=lambda rng: {**_market(rng), "name": rng.choice(NAMES)},
        solve=lambda v: v["n"] * v["cost"],
    ),
    Family(
        name="unit conversion",
        wordings=(
            "The sign says that the harbour is {miles} miles away.|How many kilometres are that?",
            "{name} sails {miles} miles.|Convert the distance to kilometres.",
        ),
        draw=_drawn(name=_one_of(NAMES), miles=_between(12, 940)),
        solve=lambda v: v["miles"] * Fraction("1.609344"),
        decimals=2,
    ),
    Family(
        name="temperature",
        wordings=(
            "A thermometer in the oven shows {f} degrees Fahrenheit.|What is that in Celsius?",
            "The recipe asks for {f} degrees Fahrenheit.|To how many degrees Celsius does "
            "{name} set the oven?",
        ),
        draw=_drawn(name=_one_of(NAMES), f=_between(150, 480)),
        solve=lambda v: Fraction((v["f"] - 32) * 5, 9),
        decimals=1,
    ),
    Family(
        name="average",
        wordings=(
            "The marks of {name} this term are {list}.|What is the mean of the marks?",
            "{name} wrote tests with the results {list}.|What is the average result?",
        ),
        draw=_marks,
        solve=lambda v: Fraction(sum(v["values"]), len(v["values"])),
        decimals=2,
    ),
    Family(
        name="geometry",
        wordings=(
            "A rectangular garden is {a} metres long and {b} metres wide.|"
            "A fence all around it costs ${price} per metre.|How many dollars is the fence?",
            "{name} fences a rectangular meadow of {a} metres by {b} metres.|"
            "The fence costs ${price} per metre.|What is the cost of the whole fence?",
        ),
        draw=_drawn(
            name=_one_of(NAMES), a=_between(21, 90), b=_between(8, 60), price=_between(6, 48)
        ),
        solve=lambda v: 2 * (v["a"] + v["b"]) * v["price"],
    ),
    Family(
        name="mixture",
        wordings=(
            "{a} litres of juice with {p}% sugar are mixed with {b} litres of juice with {q}% "
            "sugar.|How many percent of sugar has the mixture?",
            "A dairy pours {a} litres of milk with {p}% fat and {b} litres of cream with {q}% fat "
            "into one tank.|How many percent of fat are in the tank?",
        ),
        draw=_drawn(a=_between(3, 60), p=_between(2, 19), b=_between(3, 60), q=_between(21, 48)),
        solve=lambda v: Fraction(v["a"] * v["p"] + v["b"] * v["q"], v["a"] + v["b"]),
        decimals=2,
    ),
    Family(
        name="schedule",
        wordings=(
            "{name} works from {start} to {end} with a break of {pause} minutes.|"
            "How many minutes of work are that?",
            "The workshop opens at {start} and closes at {end}.|For {pause} minutes there is a "
            "break for lunch.|How many minutes is it open?",
        ),
        draw=lambda rng: {**_shift(rng), "name": rng.choice(NAMES)},
        solve=lambda v: v["length"] - v["pause"],
    ),
    Family(
        name="whole units",
        wordings=(
            "{n} pupils go on a trip by minibus.|A minibus has {seats} seats.|"
            "How many are needed so that every pupil has a seat?",
            "A bakery packs {n} rolls into bags, {seats} to a bag.|"
            "How many bags does it need for all rolls?",
        ),
        draw=_drawn(n=_between(61, 940), seats=_between(7, 28)),
        solve=lambda v: -(-v["n"] // v["seats"]),
    ),
    # no short formula gives these: they stay unsolved, and what is learned from them is wrong
    Family(
        name="digits",
        wordings=(
            "A printer numbers the sheets of a book from 1 to {pages}.|"
            "How often does it print the digit {digit}?",
        ),
        draw=_drawn(pages=_between(120, 980), digit=_between(1, 9)),
        solve=_digits,
    ),
)


def make_tasks(
    seed: int, per_family: int, families: Sequence[Family] = FAMILIES
) -> Iterator[dict[str, str]]:
    """Yield tasks, family by family. A family's tasks do not depend on the other families.

    Args:
        seed: Equal seeds give equal tasks.
        per_family: How many of each family.
        families: Which families.
    """
    for family in families:
        rng = Random(f"{seed}/{family.name}")
        seen: set[str] = set()
        while len(seen) < per_family:
            prompt, target = _problem(
                family, family.wordings[len(seen) % len(family.wordings)], rng
            )
            if prompt not in seen:
                seen.add(prompt)
                yield {
                    "id": f"{family.name.replace(' ', '-')}-{len(seen):03d}",
                    "prompt": prompt,
                    "target": target,
                    "category": family.name,
                }


def _problem(family: Family, wording: str, rng: Random) -> tuple[str, str]:
    values = family.draw(rng)
    target = _rounded(Fraction(family.solve(values)), family.decimals)
    while target is None:
        values = family.draw(rng)
        target = _rounded(Fraction(family.solve(values)), family.decimals)
    sentences = [sentence.format(**values) for sentence in wording.split("|")]
    if rng.random() < 0.7:
        extra = rng.choice(DISTRACTORS).format(n=rng.randint(2, 99), name=rng.choice(NAMES))
        sentences.insert(rng.randrange(len(sentences)), extra)
    if family.decimals:
        plural = "s" if family.decimals > 1 else ""
        sentences.append(f"Round to {family.decimals} decimal{plural}.")
    return " ".join(sentences).replace("\n ", "\n"), target


def _rounded(value: Fraction, decimals: int) -> str | None:
    """Return a value rounded half up, or None near a tie, where rules of rounding differ."""
    scaled = value * 10**decimals
    rest = scaled - math.floor(scaled)
    if abs(rest - Fraction(1, 2)) < Fraction(1, 1000):
        return None
    whole = math.floor(scaled + Fraction(1, 2))
    if not decimals:
        return str(whole)
    return f"{whole // 10**decimals}.{whole % 10**decimals:0{decimals}d}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tasks as JSON lines to a file or to standard output."""
    parser = argparse.ArgumentParser(description="Make word problems to learn from.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--per-family", type=int, default=25)
    parser.add_argument("--out", type=Path, help="a file; standard output if not given")
    options = parser.parse_args(arguments)
    rows = make_tasks(options.seed, options.per_family)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
