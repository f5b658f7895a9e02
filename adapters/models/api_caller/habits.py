"""The ways in which the caller can choose an API, right and wrong."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping

from ....engine.messages import Tool
from .shown import Talk

SEARCHER, LOGIN = "ToolSearcher", "GetUserToken"
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_SAME = {  # everyday words -> words in the names of APIs
    "change": "modify", "reschedule": "modify", "cancel": "cancel", "remove": "delete",
    "check": "query", "show": "query", "tell": "query", "find": "search", "schedule": "agenda",
    "appointment": "registration", "doctor": "registration", "calculate": "calculator",
    "price": "stock", "blood": "health", "heart": "health", "symptom": "symptom", "date": "today",
    "song": "music", "translation": "translate", "register": "registration", "set": "add",
    "create": "add", "make": "add", "turn": "switch", "first": "emergency", "aid": "emergency",
}  # fmt: skip


def choices(talk: Talk, tools: Mapping[str, Tool], chance: random.Random | None) -> dict[str, str]:
    """Return the API that each habit would call; `any` only where there is chance."""
    if not tools:
        return {}
    acting = [name for name in tools if name not in (SEARCHER, LOGIN)]
    best = _best(talk, acting) if acting else next(iter(tools))
    found = {
        "careful": _careful(talk, tools, best),
        "hasty": best,
        "again": talk.made[-1].name if talk.made and talk.made[-1].name in tools else best,
    }
    if chance is not None:
        found["any"] = chance.choice(sorted(tools))
    return found


def _careful(talk: Talk, tools: Mapping[str, Tool], best: str) -> str:
    """Search before anything else, authenticate before what needs a token."""
    called = {made.name for made in talk.made}
    if SEARCHER in tools and SEARCHER not in called and LOGIN not in called:
        return SEARCHER
    needs_token = (
        "token" in (tools[best].arguments.get("properties") or {}) if best in tools else False
    )
    fresh = any(made.name == LOGIN for made in talk.made)
    return LOGIN if needs_token and LOGIN in tools and not fresh else best


def _best(talk: Talk, names: list[str]) -> str:
    """Return the API whose name fits best what was said, the latest most."""
    done = {made.name for made in talk.since}
    weights: dict[str, float] = {}
    for age, line in enumerate(reversed(talk.text.split("\n"))):
        for word in re.findall(r"[a-z]+", line.lower()):
            stem = word[:-1] if len(word) > 3 and word.endswith("s") else word
            for term in {stem, _SAME.get(stem, stem)}:
                weights[term] = max(weights.get(term, 0.0), 0.8**age)

    def fit(name: str) -> float:
        terms = [part.lower() for part in _CAPITAL.split(name)]
        score = sum(weights.get(term, 0.0) for term in terms) / math.sqrt(len(terms))
        return score - (0.5 if name in done else 0.0)

    return max(sorted(names), key=fit)
