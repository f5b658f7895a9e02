"""An exception as data for a model: type, message, and the frames of its own code."""

from __future__ import annotations

import types
from collections.abc import Mapping

from .notes import note
from .values import cut

_MESSAGE = 2_000  # characters
_FRAMES = 10
_LINE = 200


def describe(
    error: BaseException,
    sources: Mapping[str, list[str]],
    hidden: Mapping[str, str],
    packages: tuple[str, ...] = (),
) -> str:
    """Return the text that the agent and the optimizer read.

    Args:
        error: What the code raised.
        sources: File name of each piece of the model's code -> its lines. Only their frames show.
        hidden: Paths of this machine -> what is shown instead.
        packages: That can be imported beside the standard library.
    """
    lines = [_headline(error), *_frames(error, sources)]
    cause = error.__cause__
    if cause is not None and cause is not error:
        lines += [f"caused by {_headline(cause)}", *_frames(cause, sources)]
    lines += filter(None, [note(error, packages)])
    text = "\n".join(lines)
    for path, shown in hidden.items():
        text = text.replace(path, shown)
    return text


def _headline(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return _syntax(error)
    try:
        message = str.__str__(str(error))
    except BaseException as other:  # any code may hide in __str__
        message = f"<its message raised {type(other).__name__}>"
    name = type(error).__name__
    return f"{name}: {cut(message, _MESSAGE)}" if message else name


def _syntax(error: SyntaxError) -> str:
    where = f" (line {error.lineno})" if error.lineno else ""
    text = f"\n    {cut(str(error.text).strip(), _LINE)}" if error.text else ""
    return f"{type(error).__name__}: {cut(str(error.msg), _MESSAGE)}{where}{text}"


def _frames(error: BaseException, sources: Mapping[str, list[str]]) -> list[str]:
    frames: list[str] = []
    trace: types.TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename in sources:
            frames += _frame(code, trace.tb_lineno, sources[code.co_filename])
        trace = trace.tb_next
    shown = 2 * _FRAMES  # two lines each
    if len(frames) > shown:
        middle = f"  ...[cut: {(len(frames) - shown) // 2} frames]..."
        return [*frames[: shown // 2], middle, *frames[-shown // 2 :]]
    return frames


def _frame(code: types.CodeType, number: int, lines: list[str]) -> list[str]:
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    # 3.11 gives the frame of `f` its own name; "<module>" is the body of the code
    where = "the body" if code.co_name == "<module>" else code.co_name
    return [f"  {code.co_filename} line {number}, in {where}", f"    {cut(line, _LINE)}"]
