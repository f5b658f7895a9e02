"""What every sandbox promises: one list of tests, run over each backend that works here."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from funcforge.adapters.sandboxes import Pool, SandboxSettings, open_sandbox
from funcforge.engine.errors import SandboxUnavailable
from funcforge.engine.ports import Sandbox

from tests.adapters.sandboxes.holding import BACKENDS, descendants, function, holding

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=BACKENDS)
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[Pool]:
    settings = SandboxSettings(
        backend=request.param, wall_s=3.0, memory_mb=256, scratch_mb=8, output_bytes=4_000
    )
    try:
        async with holding(open_sandbox(settings)) as opened:
            yield opened
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def sandbox(pool: Pool) -> Sandbox:
    return pool


async def test_a_call_returns_its_value(sandbox: Sandbox) -> None:
    result = await sandbox.call(function("def f(a, b=2): return [a, b]", "a"), {"a": "é\n"})

    assert (result.outcome, result.value, result.error) == ("value", ["é\n", 2], "")
    assert result.elapsed_s > 0


async def test_what_is_printed_is_captured(sandbox: Sandbox) -> None:
    code = "import sys\ndef f():\n  print('to out'); print('to err', file=sys.stderr)"

    result = await sandbox.call(function(code), {})

    assert (result.outcome, result.value, result.stdout) == ("value", None, "to out\nto err\n")


async def test_an_exception_comes_back_with_the_functions_own_frames(sandbox: Sandbox) -> None:
    code = "import json\ndef g(text):\n    return json.loads(text)\n\ndef f(text): return g(text)\n"

    result = await sandbox.call(function(code, "text"), {"text": "{"})

    assert result.outcome == "exception"
    assert result.error.startswith("JSONDecodeError: Expecting property name")
    assert "<f> line 5, in f" in result.error
    assert "<f> line 3, in g\n    return json.loads(text)" in result.error
    assert "/" not in result.error


async def test_no_path_of_this_machine_is_in_an_error(sandbox: Sandbox) -> None:
    code = "def f():\n  from json import no_such_name"

    result = await sandbox.call(function(code), {})

    assert result.outcome == "exception"
    assert result.error.startswith("ImportError")
    assert "/python/lib" in result.error
    assert str(Path(json.__file__).parent.parent) not in result.error


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def f(a): return", "TypeError: f() missing 1 required positional argument: 'a'"),
        ("def g(): return", "NameError: the code does not define 'f'; it defines g"),
        ("def f(:", "SyntaxError: invalid syntax (line 1)"),
        ("f = 3", "TypeError: 'f' is not a function but int"),
        ("raise ValueError('at load')\ndef f(): pass", "ValueError: at load"),
        ("def f(): return input()", "EOFError: EOF when reading a line"),
        ("def f(): exit(3)", "SystemExit: 3"),
    ],
)
async def test_a_faulty_function_is_an_exception(sandbox: Sandbox, code: str, message: str) -> None:
    result = await sandbox.call(function(code), {})

    assert result.outcome == "exception"
    assert result.error.splitlines()[0] == message


async def test_unknown_packages_are_refused_with_the_reason(sandbox: Sandbox) -> None:
    asked = function("def f(): return 1", packages=("requests",))

    results = [await sandbox.call(asked, {}), await sandbox.check(asked)]

    for result in results:
        assert result.outcome == "refused"
        assert "'requests' is not allowed" in result.error


async def test_check_loads_without_calling(sandbox: Sandbox) -> None:
    code = "def f(a, *, b=1): raise RuntimeError"

    assert (await sandbox.check(function(code, "a"))).outcome == "value"
    assert (await sandbox.check(function(code, "a", "b"))).outcome == "value"


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        ("def f(b): pass", "exception", "the schema names a, but the function takes (b)"),
        ("def f(a, b): pass", "exception", "the schema lacks b: the function takes (a, b)"),
        ("def f(a, /): pass", "exception", "a can only go by position"),
        ("def g(a): pass", "exception", "does not define 'f'"),
        ("import requests\ndef f(a): pass", "refused", "imports requests"),
        ("def f(a): return 1 +", "exception", "SyntaxError"),
        ("import sympy.nothing\ndef f(a): pass", "exception", "ModuleNotFoundError"),
    ],
)
async def test_check_says_what_is_wrong(
    sandbox: Sandbox, code: str, outcome: str, reason: str
) -> None:
    result = await sandbox.check(function(code, "a"))

    assert result.outcome == outcome
    assert reason in result.error


async def test_the_default_packages_are_there(sandbox: Sandbox) -> None:
    code = """
import sympy, numpy, pandas, scipy.stats
def f():
    x = sympy.Symbol("x")
    return [sympy.solve(x**2 - 2, x), numpy.arange(3) / 2, pandas.Series({"a": 1}),
            scipy.stats.norm.cdf(0.0)]
"""
    packages = ("numpy", "pandas", "scipy", "sympy")

    result = await sandbox.call(function(code, packages=packages), {})

    assert result.value == [["-sqrt(2)", "sqrt(2)"], [0.0, 0.5, 1.0], {"a": 1}, 0.5]


async def test_one_call_cannot_see_another(sandbox: Sandbox) -> None:
    writes = """
import builtins, math, os, sympy
def f():
    builtins.left = math.left = sympy.left = 1
    os.environ["LEFT"] = "1"
    open("left", "w").write("1")
    open("/tmp/left", "w").write("1") if os.access("/tmp", os.W_OK) else None
"""
    reads = """
import builtins, math, os, sympy
def f():
    found = [hasattr(place, "left") for place in (builtins, math, sympy)]
    return [*found, "LEFT" in os.environ, os.listdir("."), os.path.exists("/tmp/left")]
"""

    await sandbox.call(function(writes), {})
    result = await sandbox.call(function(reads), {})

    assert result.value == [False, False, False, False, [], False]


async def test_a_call_has_a_small_scratch_of_its_own(sandbox: Sandbox) -> None:
    code = """
import os, shutil
def f():
    os.makedirs("a/b")
    open("a/b/c.txt", "w").write("text")
    shutil.copy2("a/b/c.txt", "d.txt")
    return open("d.txt").read(), sorted(os.listdir("."))
"""

    result = await sandbox.call(function(code), {})

    assert result.value == ["text", ["a", "d.txt"]]


async def test_the_clock_ends_a_call_and_shows_what_it_printed(sandbox: Sandbox) -> None:
    code = (
        "import time\ndef f():\n  print('began'); time.sleep(0.1); print('on')\n  while True: pass"
    )

    result = await sandbox.call(function(code), {})

    assert result.outcome == "timeout"
    assert result.stdout.startswith("began\n")
    assert "longer than 3 s" in result.error


async def test_long_output_and_results_are_cut_with_a_mark(sandbox: Sandbox) -> None:
    code = (
        "def f():\n  print('x' * 10**6)\n  return {'long': 'y' * 10**6, 'list': list(range(10**5))}"
    )

    result = await sandbox.call(function(code), {})

    assert result.outcome == "value"
    assert len(json.dumps(result.value)) < 10_000
    assert "[cut: " in result.value["long"]
    assert "[cut: 996001 characters]" in result.stdout


async def test_chance_is_the_same_in_each_call(sandbox: Sandbox) -> None:
    code = """
import random, numpy
def f():
    words = {"a", "b", "c", "d", "e", "f"}
    return [random.random(), float(numpy.random.rand()), hash("text"), list(words),
            len({object() for _ in range(5)})]
"""

    first = await sandbox.call(function(code), {})
    second = await sandbox.call(function(code), {})

    assert first.outcome == "value"
    assert first.value == second.value


async def test_coroutines_and_threads_work(sandbox: Sandbox) -> None:
    code = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
async def f():
    await asyncio.sleep(0.01)
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(abs, [-1, -2]))
"""

    result = await sandbox.call(function(code), {})

    assert (result.value, result.error) == ([1, 2], "")


async def test_threads_work_beside_many_of_the_same_user(sandbox: Sandbox) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
def f():
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(abs, [-1, -2]))
"""
    idle = threading.Event()
    others = [threading.Thread(target=idle.wait) for _ in range(64)]
    for thread in others:
        thread.start()
    try:
        result = await sandbox.call(function(code), {})
    finally:
        idle.set()
        for thread in others:
            thread.join()

    assert (result.value, result.error) == ([1, 2], "")


async def test_many_calls_wait_their_turn(sandbox: Sandbox) -> None:
    square = function("def f(a): return a * a", "a")

    results = await asyncio.gather(*(sandbox.call(square, {"a": i}) for i in range(60)))

    assert [result.value for result in results] == [i * i for i in range(60)]


async def test_cancelling_a_call_ends_its_processes(sandbox: Sandbox) -> None:
    idle = function("def f(): pass")
    endless = function("def f():\n  while True: pass")
    await sandbox.call(idle, {})
    await asyncio.sleep(0.3)  # until the call's own process is gone
    before = len(descendants())
    task = asyncio.create_task(sandbox.call(endless, {}))
    await asyncio.sleep(0.3)  # so that it runs, and does not wait for its turn

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await _settled(before)


async def test_large_code_and_arguments_pass(sandbox: Sandbox) -> None:
    code = "# " + "x" * 1_000_000 + "\ndef f(text): return len(text)"

    result = await sandbox.call(function(code, "text"), {"text": "é" * 1_000_000})

    assert result.value == 1_000_000


async def test_arguments_of_any_form_raise_nothing(sandbox: Sandbox) -> None:
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    strange = {"a": {"surrogate": "\ud800", "nan": float("nan"), "deep": deep, "long": 9**3000}}

    results = [
        await sandbox.call(function("def f(a): return len(a)", "a"), strange),
        await sandbox.call(function("def f(a): return '\ud800'", "a"), {"a": 1}),
        await sandbox.call(function("def f(a): return 1\0", "a"), {"a": 1}),
        await sandbox.call(function("def f(a): return a", "a"), {"a": {1, 2}}),
        await sandbox.call(function("def f(a): pass", "a"), {"self": 1, "": 2}),
    ]

    assert {result.outcome for result in results} <= {"value", "exception"}
    assert all(result.error for result in results if result.outcome == "exception")


async def test_an_interpreter_keeps_variables_between_blocks(sandbox: Sandbox) -> None:
    async with sandbox.interpreter() as interpreter:
        first = await interpreter.run("import math\nx = 3\nprint('one')")
        second = await interpreter.run("y = x * 2\ny + math.floor(0.5)")

    assert (first.outcome, first.stdout) == ("value", "one\n")
    assert (second.outcome, second.stdout) == ("value", "6\n")


async def test_interpreters_do_not_see_each_other(sandbox: Sandbox) -> None:
    async with sandbox.interpreter() as one, sandbox.interpreter() as other:
        await one.run("x = 1; open('file', 'w').close()")
        seen = await other.run("import os; print('x' in globals(), os.listdir('.'))")

    assert seen.stdout == "False []\n"


async def test_an_interpreter_goes_on_after_an_exception(sandbox: Sandbox) -> None:
    async with sandbox.interpreter() as interpreter:
        failed = await interpreter.run("x = 1\nx / 0")
        result = await interpreter.run("x")

    assert failed.outcome == "exception"
    assert (
        failed.error
        == "ZeroDivisionError: division by zero\n  <block 1> line 2, in the body\n    x / 0"
    )
    assert result.stdout == "1\n"


@pytest.mark.parametrize("ending", ["while True: pass", "import os; os._exit(0)"])
async def test_an_interpreter_that_died_says_so_and_starts_anew(
    sandbox: Sandbox, ending: str
) -> None:
    async with sandbox.interpreter() as interpreter:
        await interpreter.run("x = 1")
        died = await interpreter.run(ending)
        after = await interpreter.run("'x' in globals()")

    assert died.outcome in ("timeout", "exception")
    assert "variables and files are lost" in died.error
    assert after.stdout == "False\n"


async def test_functions_and_files_are_there_from_the_first_block(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_bytes(b"a,b\n1,2\n" + b"#" * 3_000_000)
    double = function("def double(a): return 2 * a", "a", name="double")
    broken = function("1/0\ndef broken(): pass", name="broken")
    files = {"data.csv": str(tmp_path / "table.csv")}

    async with sandbox.interpreter(functions=[double, broken], files=files) as interpreter:
        result = await interpreter.run("print(open('data.csv').readline(), double(21))")
        failed = await interpreter.run("broken()")

    assert result.stdout == "a,b\n 42\n"
    assert "RuntimeError: broken does not load: ZeroDivisionError" in failed.error


async def test_an_interpreter_starts_no_process_before_its_first_block(
    sandbox: Sandbox,
) -> None:
    await sandbox.call(function("def f(): pass"), {})
    await asyncio.sleep(0.3)  # until the call's own process is gone
    before = len(descendants())

    async with sandbox.interpreter():
        assert len(descendants()) == before


async def test_nothing_runs_between_blocks(sandbox: Sandbox) -> None:
    async with sandbox.interpreter() as interpreter:
        await interpreter.run(
            "import threading, time\ncount = 0\n"
            "def tick():\n  global count\n  while True: count += 1; time.sleep(0.001)\n"
            "threading.Thread(target=tick, daemon=True).start(); time.sleep(0.05)"
        )
        first = await interpreter.run("count")
        await asyncio.sleep(0.3)  # real time is what is tested
        second = await interpreter.run("count")

    assert 0 <= int(second.stdout) - int(first.stdout) < 100


async def _settled(most: int) -> None:
    """Wait until at most so many processes are left below this one."""
    async with asyncio.timeout(10):
        while len(descendants()) > most:  # noqa: ASYNC110 - processes set no event
            await asyncio.sleep(0.02)


async def test_threads_that_print_at_once_lose_nothing(sandbox: Sandbox) -> None:
    code = """
import threading
def work(name):
    for _ in range(40):
        print(name * 9)
def f():
    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdefgh"]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""

    result = await sandbox.call(function(code), {})

    assert result.outcome == "value"
    text = "".join(result.stdout.split())
    assert {name: text.count(name) for name in "abcdefgh"} == dict.fromkeys("abcdefgh", 360)


async def test_bytes_can_be_printed(sandbox: Sandbox) -> None:
    code = "import sys\ndef f(): sys.stdout.buffer.write('é\\n'.encode()); sys.stdout.flush()"

    result = await sandbox.call(function(code), {})

    assert (result.outcome, result.stdout) == ("value", "é\n")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import subprocess; subprocess.run(['ls'])", "is one process without network"),
        ("import os; os.fork()", "is one process without network"),
        ("import multiprocessing; multiprocessing.Pool(2)", "is one process without network"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "without network"),
        ("import urllib.request as u; u.urlopen('http://localhost')", "without network"),
        ("import matplotlib.pyplot", "these packages can be imported: "),
    ],
)
async def test_what_the_sandbox_refuses_is_explained(
    sandbox: Sandbox, body: str, told: str
) -> None:
    result = await sandbox.call(function(f"def f(): {body}"), {})

    assert result.outcome == "exception"
    assert told in result.error


async def test_an_error_of_the_code_itself_is_told_as_it_is(sandbox: Sandbox) -> None:
    result = await sandbox.call(function("def f(): open('none')"), {})

    assert "Note:" not in result.error


async def test_an_answer_given_in_advance_ends_the_session(sandbox: Sandbox) -> None:
    forging = """
import os
body = b'{"done": {"outcome": "value", "value": 1}, "number": 1}'
for fd in range(3, 64):
    try:
        os.write(fd, (len(body).to_bytes(4, "big") + body) * 2)
    except OSError:
        pass
"""
    async with sandbox.interpreter() as interpreter:
        await interpreter.run(forging)
        second = await interpreter.run("print('second')")
        third = await interpreter.run("print('third')")

    assert "an answer to another request" in second.error
    assert third.stdout == "third\n"
