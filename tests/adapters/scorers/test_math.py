from __future__ import annotations

import gc
import time

import anyio
import psutil
import pytest
from funcforge.adapters.scorers.latex import canonical, readable, same_spelling
from funcforge.adapters.scorers.math import AlgebraWorker, MathScorer
from funcforge.engine.errors import ScorerError
from funcforge.engine.tasks import Task

from tests.adapters.scorers.episodes import episode

SAME_SPELLING = [
    ("6.0", "6"), (r"\dfrac{1}{13}", r"\frac{1}{13}"), (r"\frac16", r"\frac{1}{6}"),
    (r"\frac{1}{2}", "0.5"), (r"\frac{1}{2}", "1/2"), (r"-\frac{1}{2}", "-0.5"),
    (r"7\text{ hours}.", "7"), (r"13.5\text{ pounds}", "13.5"), ("24.2", r"24.2 \text{ cm}"),
    ("5", "5 square meters"), (r"362,\!880", "362880"), ("1,000,000", "1000000"),
    ("10{,}000", "10000"), (r"205^\circ", "205"), (r"205^{\circ}", r"205^\circ"), ("20", r"20\%"),
    (r"\$5", "5"), (r"\text{(A)}", "A"), ("(A)", r"\text{A}"), (r"\text{Saturday}", "saturday"),
    (r"1323_{4}", "1323_4"), ("1323_{4}", "1323"), ("x = 5", "5"),
    ("(6,0,7)", "(6, 0, 7)"), (r"\left( 4, \frac{1}{2} \right)", "(4, 0.5)"),
    (r"[-1,0) \cup (0,1]", r"[-1, 0)\cup(0, 1]"), (".5", "0.5"), (r"\sqrt2", r"\sqrt{2}"),
    (r"\begin{pmatrix} 12/5 \\ 16/5 \end{pmatrix}", r"\left(\frac{12}{5}, \frac{16}{5}\right)"),
    (r"\frac13", r"0.\overline{3}"), (r"\frac16", r"0.1\overline{6}"), ("1 1/2", r"\frac{3}{2}"),
    ("½", "0.5"), ("C", "C)"), ("16", "= 16"),
    (r"3\cdot 2^{4}", r"3 \times 2^4"), ("−5", "-5"), (r"\boxed{5}", "5"), ("90°", "90"),
]  # fmt: skip
DIFFERENT_SPELLING = [
    ("5", "-5"), ("0.5", "0.51"), (r"\text{Saturday}", r"\text{Sunday}"),
    ("1 1/2", r"\frac{11}{2}"),
    (r"0.\overline{3}", "0.3"), ("(1, 2)", "(2, 1)"), ("[1, 2]", "[1, 3]"), ("dog", "god"),
    ("1323_4", "1323_5"),
]  # fmt: skip
MATRIX = r"\begin{pmatrix} 6 & -2 \\ 0 & 4 \end{pmatrix}"
BY_ALGEBRA = [
    (r"3\sqrt{5}", r"\sqrt{45}", True), ("-1+12i", "12i - 1", True), (r"\pi", "3.1", False),
    ("x^2 + 2x + 1", "(x+1)^2", True), ("x + 2y = 3", "2x + 4y = 6", True),
    ("x + 2y - 2z - 9 = 0", "x + 2y - 2z + 9 = 0", False), ("(1, 2)", "[1, 2]", False),
    ("2", r"\tan(A) + 2 + \cot(A) - \sec(A) \csc(A)", True),
    ("2", r"\tan(A) + 2 + \cot(A) - \sec(A)", False), ("2, 3", "3, 2", True), ("2", "2, 3", False),
    (MATRIX, r"\begin{pmatrix}6&-2\\0&8/2\end{pmatrix}", True),
    (MATRIX, r"\begin{pmatrix}6&2\\0&4\end{pmatrix}", False),
    ("A", "B", False), ("11014", "1101_5", False),
    ("(2, 3)", "2, 3", True), ("(2, 3)", "3, 2", False), ("1, 234", "1,234", False),
    (r"(-\infty, 3)", "x < 3", True), (r"(-\infty, 3]", "x < 3", False),
    ("[-2, 7]", r"-2 \le x \le 7", True), ("(2, 3)", "(3, 2)", False), ("5", "x > 5", False),
    (r"\frac{1 \pm \sqrt5}{2}", r"\frac{1+\sqrt5}{2}, \frac{1-\sqrt5}{2}", True),
    (r"\frac{1 \pm \sqrt5}{2}", r"\frac{1+\sqrt5}{2}", False), ("p - q", "p-q", True),
    ("p - q", "q - p", False), (r"6\sqrt{3}", "6√3", True), (r"2\pi", "2*pi", True),
    ("pie", "pi", False),
    (r"\emptyset", r"\varnothing", True), (r"\begin{pmatrix} -7 \\ 16 \end{pmatrix}",
    r"\langle -7, 16 \rangle", True), ("x ≤ 5", r"(-\infty, 5]", True),
    ("59", r"59 \text{ and } -59", False), ("5", r"\frac{", False), ("5", r"\int\int_{}^", False),
]  # fmt: skip


@pytest.mark.parametrize(("one", "two"), SAME_SPELLING)
def test_spellings_of_one_answer_need_no_algebra(one: str, two: str) -> None:
    assert same_spelling(canonical(one), canonical(two)) is True
    assert same_spelling(canonical(two), canonical(one)) is True


def test_a_target_may_have_lost_the_underscore_of_its_base_but_not_an_answer() -> None:
    assert same_spelling(canonical("11014.0"), canonical("1101_4")) is True
    assert same_spelling(canonical("1101_4"), canonical("11014")) is not True


@pytest.mark.parametrize(
    "text",
    ["5 " + "square " * 4_000 + "!", "5 per" * 4_000 + "!", "^" + " " * 40_000 + "x",
     "^" + "\n" * 40_000 + "x", "\\text{" * 4_000],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_a_model_that_repeats_itself_holds_nobody_up(text: str) -> None:
    began_s = time.monotonic()
    canonical(text)
    readable(text)

    assert time.monotonic() - began_s < 2.0  # hours, where each word was tried in two ways


@pytest.mark.parametrize(("one", "two"), DIFFERENT_SPELLING)
def test_different_answers_are_told_without_algebra(one: str, two: str) -> None:
    assert same_spelling(canonical(one), canonical(two)) in (False, None)
    if "[" not in one and "_" not in one:
        assert same_spelling(canonical(one), canonical(two)) is False


async def test_algebra_settles_the_rest_and_no_process_stays() -> None:
    async with MathScorer() as scorer:
        found = [(await scorer.compare(one, two))[0] for one, two, _ in BY_ALGEBRA]

    assert found == [equal for _, _, equal in BY_ALGEBRA]
    gc.collect()
    assert not [p for p in psutil.Process().children() if "math_worker" in " ".join(p.cmdline())]


@pytest.mark.slow
async def test_an_answer_that_cannot_be_computed_is_wrong_and_the_next_one_is_judged() -> None:
    async with MathScorer(timeout_s=20) as scorer:
        huge, why = await scorer.compare("5x", "9^{9^{9^{9}}}x")
        after = await scorer.compare(r"3\sqrt{5}", r"\sqrt{45}")

    assert (huge, after) == (False, (True, ""))
    assert why == "" or why.startswith("could not be compared")


async def test_a_worker_that_is_killed_is_replaced() -> None:
    async with AlgebraWorker(timeout_s=20) as worker:
        assert await worker.compare("x+1", "1+x") == (True, "")
        assert worker._process is not None
        worker._process.kill()
        await worker._process.wait()

        assert (await worker.compare("x+2", "2+x"))[0] in (True, False)
        assert await worker.compare("x+3", "3+x") == (True, "")


async def test_a_worker_that_cannot_start_is_a_failed_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("funcforge.adapters.scorers.math.sys.executable", "/bin/false")

    with pytest.raises(ScorerError, match="is math-verify installed"):
        await AlgebraWorker(timeout_s=5).compare("x", "y")


async def test_a_cancelled_comparison_does_not_answer_for_the_next() -> None:
    async with MathScorer() as scorer:
        await scorer.compare("x+1", "y+1")
        with anyio.move_on_after(0.001):
            await scorer.compare("x+1", "1+x+0")

        assert (await scorer.compare("x+1", "x-1"))[0] is False


async def test_the_scorer_judges_episodes() -> None:
    scorer = MathScorer()
    task = Task(id="t", prompt="p", target=r"\frac{1}{2}")

    assert (await scorer(task, episode("0.5"))).value == 1
    assert (await scorer(task, episode("0.6"))).value == 0
    assert (await scorer(task, episode(None))).comment == "no answer"
    with pytest.raises(ScorerError, match="no target"):
        await scorer(Task(id="t", prompt="p"), episode("1"))
