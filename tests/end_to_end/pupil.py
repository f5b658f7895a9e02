"""A brain that slips in mental arithmetic until it has a function that calculates.

As agent it calls the function that was learned, with the expression that the question asks for, and
answers with what came back: its score hangs on the real sandbox. As optimizer it proposes a
function that misleads (to be rolled back), then one that helps (accepted), then one that changes
nothing (rolled back), then has no more ideas. Every reply follows from the request alone.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.loopback.brains import chance, is_optimizer
from tests.loopback.wire import Ask, Say, call, calls, text

ARGUMENTS = {
    "type": "object",
    "properties": {"expression": {"type": "string", "description": "e.g. (3 + 4) * 5"}},
    "required": ["expression"],
}
GUESS = '''
import re

def guess(expression):
    """Take the largest number for the answer."""
    return max(float(number) for number in re.findall(r"[0-9]+", expression))
'''
CALCULATE = '''
import ast
import operator

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
             ast.Div: operator.truediv, ast.USub: operator.neg, ast.UAdd: operator.pos}

def value(node):
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return OPERATORS[type(node.op)](value(node.operand))
    return OPERATORS[type(node.op)](value(node.left), value(node.right))

def calculate(expression):
    """Work an arithmetic expression out."""
    found = value(ast.parse(expression.strip(), mode="eval").body)
    return int(found) if found == int(found) else round(found, 6)
'''
DOUBLE_CHECK = '''
def double_check(expression):
    """Say that all is well."""
    return "looks right"
'''

_STATE = re.compile(r"^\[[0-9a-f]{12}\] (LIST_A functions|REJECTED sets|ACTION next)=(\d+)", re.M)
_EXPRESSION = re.compile(r"Work out (.+)\.$")
_WORKED = re.compile(r"<<([^=<>]+)=")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pupil:
    """The brain. `expression` reads out of a question what is to be calculated."""

    expression: Callable[[str], str]
    skill: float = 0.3  # share of the questions that it gets right in its head
    attention: float = 1.0  # share of the questions that it reads rightly

    def __call__(self, ask: Ask) -> Say:
        if is_optimizer(ask):
            return propose(ask)
        if ask.results:
            found = _NUMBER.findall(ask.results[-1].content)
            return text(f"The answer is \\boxed{{{found[-1] if found else 'unknown'}}}.")
        expression = self.expression(ask.question)
        if chance("read", ask.question) >= self.attention:
            expression += " * 2"
        learned = [tool for tool in ask.tools if tool.name != "python"]
        if learned:
            chosen = next((tool for tool in learned if tool.name == "calculate"), learned[0])
            return calls(call(chosen.name, {"expression": expression}))
        slip = "" if chance(ask.question) < self.skill else " + 1"
        if ask.tools:
            return calls(call("python", {"code": f"print({expression}{slip})"}))
        worked_out = eval(expression + slip, {"__builtins__": {}})
        return text(f"In my head: \\boxed{{{worked_out:g}}}.")


def propose(ask: Ask) -> Say:
    """Take the next action of an optimizer."""
    state = {name: int(count) for name, count in _STATE.findall(ask.question)}
    if state["ACTION next"] > 1:
        return calls(call("terminate", {"reason": "one function is enough"}))
    rejected = state.get("REJECTED sets", 0)
    if state["LIST_A functions"] == 0:
        return add("guess", GUESS) if rejected == 0 else add("calculate", CALCULATE)
    if rejected == 0:
        return add("double_check", DOUBLE_CHECK)
    return calls(call("terminate", {"reason": "nothing more to gain"}))


def add(name: str, code: str) -> Say:
    """Propose a function of an expression."""
    proposed = {
        "name": name,
        "description": code.split('"""')[1],
        "arguments": ARGUMENTS,
        "code": code,
    }
    return calls(call("add_function", proposed))


# -- the school's own problems ----------------------------------------------------------------


def read_question(question: str) -> str:
    """Return the expression of one of the school's own problems."""
    found = _EXPRESSION.search(question)
    return found[1] if found else "0"


def pupil() -> Pupil:
    """Make the brain for the school's own problems."""
    return Pupil(expression=read_question, attention=0.9)


def write_problems(path: Path, count: int, seed: int = 0) -> Path:
    """Write problems as JSON lines."""
    rng = random.Random(seed)
    lines = []
    for number in range(count):
        a, b, c = (rng.randint(2, 99) for _ in range(3))
        question = f"Problem {number}. Work out {a} * {b} - {c}."
        row = {
            "id": f"p{number:04d}",
            "prompt": question,
            "target": str(a * b - c),
            "category": "sums",
        }
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# -- GSM8K ------------------------------------------------------------------------------------


def read_solutions(path: Path) -> Mapping[str, str]:
    """Return question -> the last calculation of its worked solution."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        worked = _WORKED.findall(row["answer"])
        found[row["question"]] = worked[-1].lstrip("0") if worked else "0"
    return found
