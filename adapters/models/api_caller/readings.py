"""The ways in which the caller can read a parameter's value out of a dialogue, right and wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .moments import Moment, moments
from .shown import Talk

OMITTED = object()  # the parameter is left out
Reading = tuple[str, Any]
"""A way's name and the value that it gives."""

_WORD = r"[\w@.+'’#$-]*[\w@]"
_QUOTED = re.compile(r"\"([^\"\n]{1,80})\"|“([^”\n]{1,80})”|(?<!\w)'([^'\n]{1,80})'(?!\w)")
_NAME = re.compile(r"\b(?:Dr\.? )?[A-Z][a-z]+(?: [A-Z][a-z]*)*")
_NUMBER = re.compile(r"\b[A-Z]*\d{4,}\b")
_CODE = re.compile(r"\b[A-Z]{2,5}\b")
_FORMULA = re.compile(r"[\d(][\d+\-*/ ().]*[+\-*/][\d+\-*/ ().]*[\d)]")
_TOKEN = re.compile(r"'token': '(\w+)'")
_VALUE = re.compile(
    r"(blood[ _]pressure|heart[ _]rate|blood[ _]sugar|weight|cholesterol|temperature)"
    r"[^\d\n.]{1,12}(\d+(?:[/.]\d+)?)",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"(?:help me(?: to)?|want to|need to|like to|(?:can|could) you|please)\s+(?:help me\s+)?"
    r"((?!help)\w+(?: (?:a|an|the|my|of|for)\b)*(?: \w+){1,2})",
    re.IGNORECASE,
)
_PHRASE = re.compile(
    r"\b(?:about|of|for|called|to|have|on|search)\s+(?:an? |the |my )?([a-z][\w ]{2,40})"
)
_COUNTS = {"one": 1, "a": 1, "two": 2, "three": 3, "four": 4, "five": 5, "no": 0}
_NOUNS = {"room": "room", "adult": "adult|people|person|guest", "child": "child|kid"}
_DULL = re.compile(
    r"(?:I|Yes|No|Thanks?|Sure|Please|Can|Could|My|The|Hi|Hello|It|What|Okay|Ok|Also|Username|Today"
    r"|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Dr|AM|PM)\b"
    r"|(?:Janu|Febru)ary|March|April|June|July|August|(?:Septem|Octo|Novem|Decem)ber"
)
# which way is tried first, by a word in the parameter's name
_USUAL = {
    "doctor": "doctor", "patient": "name", "id": "number", "code": "code", "formula": "formula",
    "keywords": "request", "hotel": "name", "music": "quoted", "content": "quoted",
    "symptom": "end of phrase", "keyword": "phrase",
}  # fmt: skip


def kind_of(parameter: str, about: Mapping[str, Any]) -> str:
    """Return what sort of value a parameter takes: readings of one sort carry over."""
    told = str(about.get("description", ""))
    form = about.get("type")
    if parameter == "token":
        return "token"
    if "%H" in told:
        return "moment"
    if "%Y" in told:
        return "day"
    if "%m-%d" in told:
        return "day of year"
    if form in ("integer", "boolean"):
        return str(form)
    if form == "array":
        items = about.get("items") or {}
        return "names" if items.get("type") == "string" else "values"
    return "text"


def readings(parameter: str, about: Mapping[str, Any], talk: Talk) -> list[Reading]:
    """Return every way that gives a value here, the likelier first; never none."""
    match kind_of(parameter, about):
        case "token":
            found = list(_tokens(talk))
        case "moment" | "day" | "day of year" as kind:
            found = list(_dates(parameter, kind, talk))
        case "integer":
            found = list(_counts(parameter, talk))
        case "boolean":
            found = [("switch", not re.search(r"\boff\b", talk.said, re.IGNORECASE))]
        case "names":
            found = list(_names(talk))
        case "values":
            found = list(_values(talk))
        case _:
            found = list(_texts(parameter, talk))
    return [*found, ("invented", _invented(parameter, about)), ("omitted", OMITTED)]


def after(words: str, count: int, text: str) -> str | None:
    """Return the last `count` words that follow some words in a text."""
    pattern = rf"{re.escape(words)}[\s:]+[\"'“]?({_WORD}(?:\s+{_WORD}){{{count - 1}}})"
    found = re.findall(pattern, text, re.IGNORECASE)
    return str(found[-1]) if found else None


def _tokens(talk: Talk) -> Iterator[Reading]:
    found = [match for made in talk.made for match in _TOKEN.findall(made.result)]
    if found:
        yield "result", found[-1]
    user = after("username is", 1, talk.said) or after("username", 1, talk.said)
    if user:
        yield "user instead", user
    password = after("password is", 1, talk.said)
    if password:
        yield "password instead", password


def _dates(parameter: str, kind: str, talk: Talk) -> Iterator[Reading]:
    found = moments(talk.said) or moments(talk.text)
    if not found:
        return
    moment = _which(parameter, kind, found)
    day, clock = moment.day.isoformat(), moment.clock or "00:00:00"
    short = f"{moment.day:%m-%d}"
    if kind == "moment":
        yield "iso", f"{day} {clock}"
        yield "as said", moment.words
        yield "without time", day
        yield "with T", f"{day}T{clock}"
    elif kind == "day":
        yield "iso", day
        yield "as said", moment.words
        yield "american", f"{moment.day:%m/%d/%Y}"
        yield "with time", f"{day} {clock}"
    else:
        yield "short", short
        yield "as said", moment.words
        yield "american", f"{moment.day:%m/%d}"


def _which(parameter: str, kind: str, found: list[Moment]) -> Moment:
    """Choose the moment that a parameter means by its name."""
    if kind == "moment":
        found = [moment for moment in found if moment.clock] or found
    if re.search(r"start|from|check_in", parameter) and len(found) > 1:
        return found[-2]
    return found[-1]


def _counts(parameter: str, talk: Talk) -> Iterator[Reading]:
    noun = next((nouns for part, nouns in _NOUNS.items() if part in parameter), parameter)
    found = re.findall(rf"\b(\d+|{'|'.join(_COUNTS)})\s+(?:{noun})", talk.said, re.IGNORECASE)
    if found:
        word = found[-1].lower()
        number = int(word) if word.isdigit() else _COUNTS[word]
        yield "number", number
        yield "as text", word
    yield "one", 1


def _names(talk: Talk) -> Iterator[Reading]:
    found = re.findall(
        r"(?:with|attendees(?: (?:are|will be|is|include))?:?)\s+((?:[A-Z]\w+[ ,]*(?:and )?)+)",
        talk.said,
    )
    if found:
        names = [name.strip(" .") for name in re.split(r",\s*(?:and )?|\s+and\s+", found[-1])]
        names = [name for name in names if name]
        yield "each", names
        yield "all in one", [found[-1].strip(" .")]
    known = [made.parameters["attendees"] for made in talk.made if "attendees" in made.parameters]
    if known:
        yield "as before", re.findall(r"'([^']+)'", known[-1])


def _values(talk: Talk) -> Iterator[Reading]:
    found = _VALUE.findall(talk.said)
    if found:
        yield (
            "underscored",
            [{"name": name.lower().replace(" ", "_"), "value": value} for name, value in found],
        )
        yield "as said", [{"name": name, "value": value} for name, value in found]
        yield "by name", [{name.lower().replace(" ", "_"): value} for name, value in found]


def _texts(parameter: str, talk: Talk) -> Iterator[Reading]:
    """Yield the ways to read a text, first the one that is usual for such a name."""
    found = list(_text_ways(parameter, talk))
    usual = next((way for word, way in _USUAL.items() if word in parameter.split("_")), None)
    yield from sorted(found, key=lambda reading: reading[0] != usual)


def _text_ways(parameter: str, talk: Talk) -> Iterator[Reading]:
    words = parameter.replace("_", " ")
    said = talk.said
    yield from _cued("cue", words, said)
    if (last := words.split()[-1]) != words:
        yield from _cued("last word's cue", last, said)
    quoted = [next(filter(None, groups)) for groups in _QUOTED.findall(said)]
    if quoted:
        yield "quoted", quoted[-1]
    known = [made.parameters[parameter] for made in talk.made if parameter in made.parameters]
    if known:
        yield "as before", known[-1]
    names = [name.strip() for name in _NAME.findall(said)]
    people = [name for name in names if not _DULL.match(name)]
    if people:
        yield "name", people[-1]
    doctors = [name for name in names if name.startswith("Dr") and " " in name]
    if doctors:
        yield "doctor", doctors[-1]
    patterns = {"number": _NUMBER, "code": _CODE, "formula": _FORMULA, "request": _REQUEST}
    for way, pattern in patterns.items():
        matches = pattern.findall(said)
        if matches:
            yield way, matches[-1].strip()
    phrases = _PHRASE.findall(said)
    if phrases:
        yield "phrase", phrases[-1].strip()
        yield "end of phrase", phrases[-1].split()[-1]
    if talk.users:
        yield "sentence", talk.users[-1]


def _cued(way: str, words: str, said: str) -> Iterator[Reading]:
    """Yield what follows a parameter's name: all of it to the next stop, and its first word."""
    link = r"(?:'s)?(?: name| number)?(?: is| to| of| will be|:)\s+"
    found = re.findall(rf"\b{re.escape(words)}{link}[\"'“]?([^\n,\"”]+)", said, re.IGNORECASE)
    if not found:
        return
    whole = re.split(r"[.?!](?:\s|$)|\s(?:and|at|on|with|to)\s|['](?:\s|$)", found[-1])[0].strip()
    if whole:
        yield way, whole
        yield f"{way}, first word", whole.split()[0]


def _invented(parameter: str, about: Mapping[str, Any]) -> Any:
    match about.get("type"):
        case "integer":
            return 2
        case "boolean":
            return True
        case "array":
            return []
    return f"your_{parameter}"
