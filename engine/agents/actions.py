"""Reads what a model wants done out of its text: fenced Python blocks and calls."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from ..messages import ToolCall
from ..pasted_code import bare_code

_PYTHON_TAGS = frozenset({
    "python", "py", "python3", "py3", "ipython", "ipython3", "pycon", "python-repl", "tool_code",
    "python_code",
})  # fmt: skip
_VERSION = re.compile(r"^(python|py)[\d.]+$")
_CALL_TAGS = frozenset({"json", "tool_call", "tool", "function_call", "action", ""})
_FENCE = re.compile(r"^[ \t]*(?:>[ \t]*)?(`{3,}|~{3,})[ \t]*\{?\.?([^\s`{}]*)[^`\n]*$")
# an untagged block is code when one of its lines can be little else
_LOOKS_PYTHON = re.compile(
    r"^[ \t]*(?:import \w|from \w[\w.]* import |def \w+\(.*:|for .+ in .+:|while .+:|if .+:"
    r"|print\(|[A-Za-z_]\w*(?:, *[A-Za-z_]\w*)* = \S)",
    re.MULTILINE,
)
# bounded: models do get stuck in a line of thousands of underscores
_ACTION = re.compile(
    r"^[ \t>*_#]*Action[ \t]*\**[ \t]*:[ \t*_`]{0,20}([A-Za-z_][\w.\-]{0,200})[`*_]{0,9}[ \t]*"
    r"(?P<same>[({].*)?$",
    re.IGNORECASE,
)
_INPUT = re.compile(r"^[ \t>*_#]*Action[ \t]+Input[ \t]*\**[ \t]*:[ \t*_]*", re.IGNORECASE)
# fences that begin in the middle of a line: behind a label or a sentence
_LATE_FENCE = re.compile(
    r"^([^`\n]*Action[ \t]+Input[^`\n]*:[ \t*]*|[^`\n]*[^`\s][ \t]*(?=`{3}[ \t]*py))(`{3})",
    re.IGNORECASE | re.MULTILINE,
)
_OBSERVATION = re.compile(r"^[ \t>*_#]*Observation[ \t]*\**[ \t]*:", re.IGNORECASE)
_NEXT = re.compile(r"^[ \t>*_#]*(?:Thought|Action|Observation|Final Answer)\b", re.IGNORECASE)
_NO_ACTION = frozenset({"none", "finish", "final_answer", "terminate"})
_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of a message: prose, or a fenced block of it."""

    text: str
    fenced: bool = False
    tag: str = ""
    closed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A message taken apart."""

    actions: tuple[ToolCall, ...]  # in the order of the text; ids are left empty
    prose: str  # what is neither code nor call
    cut_off: bool = False  # the last block has no end


def read_actions(text: str, *, python: bool) -> Reading:
    """Find the Python blocks and calls of a message.

    What a model writes after an "Observation:" of its own is invented and left out, where it
    follows an action.

    Args:
        text: The message.
        python: Whether there is an interpreter; without one, code is prose.
    """
    actions: list[ToolCall] = []
    prose: list[str] = []
    open_block = False
    # the pattern is slow on long lines, and says nothing on lines without a fence
    lines = [_LATE_FENCE.sub(r"\1\n\2", x) if "```" in x else x for x in text.split("\n")]
    for block in _join_inputs(split_blocks("\n".join(lines))):
        if not block.fenced:
            calls, rest, invented = _calls_in_prose(block.text, bool(actions))
            actions.extend(calls)
            prose.append(rest)
            if invented:
                break
        elif python and _is_python(block):
            actions.append(python_call(bare_code(textwrap.dedent(block.text))))
            open_block = open_block or not block.closed
        elif (call := _call_of_json(block.text, block.tag)) is not None:
            actions.append(call)
        else:
            prose.append(block.text)
    return Reading(actions=tuple(actions), prose="\n".join(prose).strip(), cut_off=open_block)


def python_call(code: str) -> ToolCall:
    """Return the call of the interpreter with a block of code."""
    return ToolCall(id="", name="python", arguments=json.dumps({"code": code}, ensure_ascii=False))


def split_blocks(text: str) -> Iterator[Block]:
    """Take a message apart at its fences. A fence without an end reaches to the end.

    A fence is closed by one of its kind at the beginning of a line, whatever follows it there; by
    two backticks alone, which no code can be; and by a fence that opens Python: the end that
    should stand before it was forgotten.
    """
    lines: list[str] = []
    fence = tag = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        found = _FENCE.match(line)
        if not fence:
            if found is None:
                lines.append(line)
                continue
            yield Block(text="\n".join(lines))
            fence, tag, lines = found[1], _tag(found[2]), []
            continue
        after = _after_end(line, fence)
        if after is None:
            lines.append(line)
            continue
        yield Block(text="\n".join(lines), fenced=True, tag=tag)
        opens = found is not None and _tag(found[2]) in _PYTHON_TAGS
        fence, tag, lines = (fence, _tag(found[2]), []) if found and opens else ("", "", [after])
    yield Block(text="\n".join(lines), fenced=bool(fence), tag=tag, closed=not fence)


def _after_end(line: str, fence: str) -> str | None:
    """Return what follows the end of a block on its line; None where the line is no end."""
    bare = line.strip()
    if bare == "``" and fence[0] == "`":
        return ""
    return bare[len(fence) :].lstrip(fence[0]) if bare.startswith(fence) else None


def _tag(text: str) -> str:
    lowered = text.lower()
    return "python" if _VERSION.match(lowered) else lowered


def _is_python(block: Block) -> bool:
    if not block.text.strip():
        return False
    return block.tag in _PYTHON_TAGS or (not block.tag and bool(_LOOKS_PYTHON.search(block.text)))


def _join_inputs(blocks: Iterator[Block]) -> Iterator[Block]:
    """Put a fenced "Action Input" back behind its label, where it is read as one call."""
    waiting = ""
    for block in blocks:
        last = block.text.rstrip().rpartition("\n")[2]
        if not block.fenced and _INPUT.match(last) and not _INPUT.sub("", last).strip():
            waiting += block.text.rstrip()
        elif waiting and block.fenced and block.tag in _PYTHON_TAGS:
            labels = {waiting.rpartition("\n")[2], *filter(_ACTION.match, waiting.split("\n")[-3:])}
            yield Block(text="\n".join(w for w in waiting.split("\n") if w not in labels))
            yield block
            waiting = ""
        elif waiting and block.fenced:
            waiting += " " + block.text.strip()
        else:
            yield Block(text=f"{waiting}\n{block.text}") if waiting else block
            waiting = ""
    if waiting:
        yield Block(text=waiting)


def _calls_in_prose(text: str, acted: bool) -> tuple[list[ToolCall], str, bool]:
    """Return the calls, what is left of the text, and whether an invented result ended it."""
    calls = [call for match in _TAGGED.finditer(text) if (call := _call_of_json(match[1], "json"))]
    lines = (_TAGGED.sub("", text) if calls else text).split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if (acted or calls) and _OBSERVATION.match(line):
            return calls, "\n".join(kept), True
        found = _ACTION.match(line)
        if found is None or (found[1].lower() in _NO_ACTION):
            kept.append(line)
            at += 1
            continue
        arguments, at = _arguments_after(lines, at, found["same"])
        calls.append(ToolCall(id="", name=found[1], arguments=arguments))
    return calls, "\n".join(kept), False


def _arguments_after(lines: list[str], at: int, same_line: str | None) -> tuple[str, int]:
    """Return the raw arguments of the action at line `at`, and the line after them."""
    if same_line:
        inner = same_line.strip()
        return (inner[1:-1] if inner.startswith("(") and inner.endswith(")") else inner), at + 1
    at += 1
    while at < len(lines) and not lines[at].strip():
        at += 1
    if at == len(lines) or not (label := _INPUT.match(lines[at])):
        return "", at
    rest = "\n".join([lines[at][label.end() :], *lines[at + 1 :]])
    start = len(rest) - len(rest.lstrip())
    try:
        if not rest.startswith(("{", '"'), start):
            raise ValueError  # a bare number would be read, and the words behind it lost
        _, end = json.JSONDecoder().raw_decode(rest, start)
    except (ValueError, RecursionError):
        end_at = at + 1  # bare code, or no JSON at all: whoever is called says so to the model
        while end_at < len(lines) and not _NEXT.match(lines[end_at]):
            end_at += 1
        return "\n".join(rest.split("\n")[: end_at - at]).strip(), end_at
    return rest[start:end], at + 1 + rest.count("\n", 0, end)


def _call_of_json(text: str, tag: str) -> ToolCall | None:
    """Read `{"name": ..., "arguments": ...}`, the form many models fall back to."""
    if tag not in _CALL_TAGS:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("function"), dict):
        data = data["function"]
    name = data.get("name", data.get("action"))
    keys = [key for key in ("arguments", "parameters", "action_input") if key in data]
    if not isinstance(name, str) or not keys:
        return None
    arguments = data[keys[0]]
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(id="", name=name, arguments=raw)
