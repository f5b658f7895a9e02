"""What can be looked up or worked out."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

from ..dates import day_of_year
from ..search import best_documents
from ..store import Api, Rejected, State

TODAY = "2023-03-31"  # in the recorded dialogues
_FORMULA = re.compile(r"[0-9+\-*/()]+")
_LONGEST = 200  # characters of a formula
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def get_today(state: State) -> str:
    """Return the day on which the dialogues take place."""
    return TODAY


def calculator(state: State, formula: str) -> float:
    """Work out a formula of whole numbers, + - * / and parentheses."""
    bare = formula.replace(" ", "")
    if len(bare) > _LONGEST or not _FORMULA.fullmatch(bare) or not set(bare) & set("+-*/"):
        raise Rejected("invalid formula")
    try:
        return _value(ast.parse(bare, mode="eval").body)
    except (SyntaxError, ArithmeticError, RecursionError):
        raise Rejected("invalid formula") from None


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() as number):
            return float(number)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left), _value(right))
    raise Rejected("invalid formula")  # signs, powers


def query_history_today(state: State, date: str) -> list[str]:
    """Return what happened on this day of the year."""
    events = state.fixed("History").get(day_of_year(date))
    if events is None:
        raise Rejected("The date is not in the database.")
    return [
        ", ".join(
            f"{column}: {event[column].strip()}" for column in ("Title", "Date", "Description")
        )
        for event in events
    ]


def wiki(state: State, keyword: str) -> dict[str, str]:
    """Return an article's address and summary."""
    article = state.fixed("Wiki").get(keyword.replace("_", " ").strip().lower())
    if article is None:
        raise Rejected("Keyword not found.")
    return {"url": article["url"], "summary": article["summary"]}


def search_engine(state: State, keyword: str) -> list[Any]:
    """Return the two documents that fit best."""
    return best_documents(state.fixed("SearchEngine"), keyword, count=2)


def document_qa(state: State, url: str, question: str) -> str:
    """Answer a question about a document.

    The official implementation looks the question up in a form that the database does not have, so
    that it knows no answer; the recorded dialogues show the same.
    """
    if not question.strip():
        raise Rejected("The question is empty.")
    if url.strip() not in state.fixed("QuestionAnswering"):
        raise Rejected("The document of this url failed to be processed.")
    return "The question is too difficult to answer."


def dictionary(state: State, keyword: str) -> Any:
    """Look a word up: asks a service on the internet, which is out of reach here."""
    raise Rejected("The dictionary cannot be reached.")


def translate(
    state: State, src: str, src_lang: str | None = None, tgt_lang: str | None = None
) -> str:
    """Translate a text: asks a service on the internet, which is out of reach here."""
    raise Rejected("The translator cannot be reached.")


OUT_OF_REACH = frozenset({"Dictionary", "Translate"})

APIS: dict[str, Api] = {
    "GetToday": get_today,
    "Calculator": calculator,
    "QueryHistoryToday": query_history_today,
    "Wiki": wiki,
    "SearchEngine": search_engine,
    "DocumentQA": document_qa,
    "Dictionary": dictionary,
    "Translate": translate,
}
