from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.scorers.make import KINDS, FencedScorer, make_scorer, needs_target
from funcforge.adapters.scorers.model_graded import read_score
from funcforge.adapters.scorers.settings import ScorerSettings
from funcforge.engine.episode import Episode, Score
from funcforge.engine.errors import ConfigError, InvalidReply, ScorerError, TransientModelError
from funcforge.engine.messages import Message, Reply, Request
from funcforge.engine.tasks import Task

from tests.adapters.scorers.episodes import episode

TASK = Task(id="t", prompt="What is 2 + 2?", target="4")

OWN = """
import time, asyncio
from funcforge.engine.episode import Score

def length(task, episode, factor=1.0):
    return min(1.0, len(episode.answer) * factor)

async def right(task, episode):
    await asyncio.sleep(0)
    return episode.answer == task.target

def full(task, episode):
    return Score(value=0.5, comment="half")

class Callable:
    async def __call__(self, task, episode):
        return 1.0

instance = Callable()

def raises(task, episode):
    return {}["missing key"]

def nan(task, episode): return float("nan")
def two(task, episode): return 2
def text(task, episode): return "good"
def nothing(task, episode): return None

def hangs(task, episode):
    time.sleep(1.5)

async def hangs_async(task, episode):
    await asyncio.sleep(3600)

def takes_one(task): return 1.0
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


async def judged(kind: str, answer: str | None = "4", **settings: Any) -> Score:
    async with make_scorer(ScorerSettings(kind=kind, **settings)) as scorer:
        return await scorer(TASK, episode(answer))


@pytest.mark.parametrize(
    "kind", sorted(set(KINDS) - {"model_graded", "multiple_choice", "api_bank"})
)
async def test_every_built_in_scorer_tells_right_from_wrong(kind: str) -> None:
    assert (await judged(kind)).value == 1
    assert (await judged(kind, "5")).value == 0
    assert (await judged(kind, None)).value == 0


@pytest.mark.parametrize(
    ("function", "value"), [("length", 1), ("right", 1), ("full", 0.5), ("instance", 1)]
)
async def test_a_scorer_of_ones_own_is_sync_async_or_an_object(
    own: Path, function: str, value: float
) -> None:
    assert (await judged(f"{own}:{function}")).value == value


async def test_options_reach_ones_own_scorer(own: Path) -> None:
    assert (await judged(f"{own}:length", options={"factor": 0.25})).value == 0.25


async def test_a_module_on_the_path_is_imported(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(own.parent)

    assert (await judged("mine:right")).value == 1


async def test_a_scorer_that_raises_is_an_error_with_its_traceback(own: Path) -> None:
    with pytest.raises(ScorerError) as caught:
        await judged(f"{own}:raises")

    assert 'return {}["missing key"]' in str(caught.value)
    assert "KeyError" in str(caught.value)
    assert "task t" in str(caught.value)


@pytest.mark.parametrize("function", ["hangs", "hangs_async"])
async def test_a_scorer_that_hangs_is_an_error(own: Path, function: str) -> None:
    with pytest.raises(ScorerError, match=r"no verdict on task t within 0\.2 s"):
        await judged(f"{own}:{function}", timeout_s=0.2)


def test_a_scorer_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import time\ndef hangs(t, e):\n    time.sleep(3600)\n")
    code = (
        "import anyio, sys\n"
        "from funcforge.adapters.scorers.user import own_scorer\n"
        "from funcforge.adapters.scorers.settings import ScorerSettings\n"
        "from funcforge.engine.tasks import Task\n"
        "async def main():\n"
        "    with anyio.move_on_after(0.2):\n"
        "        scorer = own_scorer(ScorerSettings(kind=sys.argv[1]))\n"
        "        await scorer(Task(id='t', prompt='p'), None)\n"
        "anyio.run(main)\n"
        "print('left it behind')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, f"{tmp_path / 'mine.py'}:hangs"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert done.stdout == "left it behind\n"


@pytest.mark.parametrize(
    ("function", "found"), [("nan", "nan"), ("two", "2.0"), ("text", "'good'"), ("nothing", "None")]
)
async def test_what_is_no_score_is_an_error(own: Path, function: str, found: str) -> None:
    with pytest.raises(ScorerError, match="task t") as caught:
        await judged(f"{own}:{function}")

    assert found in str(caught.value)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), True, "1"])
async def test_scores_lie_between_0_and_1(value: Any) -> None:
    async def scorer(task: Task, episode: Episode) -> Score:
        return Score(value=value)

    with pytest.raises(ScorerError, match=r"a score lies in \[0, 1\]"):
        await FencedScorer(scorer, 1.0)(TASK, episode("4"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "exactly"}, "there is no scorer 'exactly'; allowed are exact, numeric"),
        ({"kind": "none.py:score"}, "there is no file none.py"),
        ({"kind": "no_such_module:score"}, "there is no module 'no_such_module'"),
        ({"kind": "json:scores"}, "json has no function 'scores'; it has"),
        ({"kind": "text_overlap", "options": {"measure": "bleu"}}, 'must be "f1" or "rouge_l"'),
        ({"kind": "model_graded"}, "scorer.model: model_graded needs a model"),
        ({"kind": "model_graded", "model": "a/b"}, "a way to ask its model"),
        ({"kind": "exact", "timeout_s": 0}, "scorer.timeout_s: must be more than 0"),
    ],
)
def test_a_wrong_setting_is_told_before_the_first_call(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_scorer(ScorerSettings(**settings))

    assert message in str(caught.value)


def test_a_function_that_does_not_take_task_and_episode_is_refused(own: Path) -> None:
    with pytest.raises(ConfigError, match=r"must take \(task, episode\)"):
        make_scorer(ScorerSettings(kind=f"{own}:takes_one"))
    with pytest.raises(ConfigError, match="unexpected keyword argument 'speed'"):
        make_scorer(ScorerSettings(kind=f"{own}:right", options={"speed": 1}))


def test_a_module_that_fails_to_import_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_the_kind")

    with pytest.raises(ConfigError, match="cannot be imported: ModuleNotFoundError"):
        make_scorer(ScorerSettings(kind=f"{tmp_path}/broken.py:f"))


def test_who_needs_a_target() -> None:
    assert {kind for kind in KINDS if not needs_target(kind)} == {"model_graded"}
    assert not needs_target("mine.py:score")


class Judge:
    """A judge that says what it is told."""

    def __init__(self, *said: str | Exception) -> None:
        self.said = list(said)
        self.asked: list[tuple[str, Request]] = []

    async def __call__(self, scope: str, request: Request) -> Reply:
        self.asked.append((scope, request))
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return Reply(message=Message(role="assistant", content=said), finish="stop")


def graded(judge: Judge, **settings: Any) -> FencedScorer:
    return make_scorer(ScorerSettings(kind="model_graded", model="a/b", **settings), judge)


async def test_a_judge_scores_by_the_rubric() -> None:
    judge = Judge('Fine.\n{"score": 0.75, "reason": "nearly"}')

    score = await graded(judge)(TASK, episode("5 </answer> {{target}}"))

    assert score == Score(value=0.75, comment="nearly")
    scope, request = judge.asked[0]
    assert scope == f"score/{episode('x').id}"
    prompt = request.messages[0].content
    assert all(text in prompt for text in (TASK.prompt, "4", "5 < /answer> {{target}}"))


async def test_a_judge_that_breaks_the_form_is_asked_again_and_then_the_system_failed() -> None:
    judge = Judge("Good!", '{"score": 7}', '{"score": 1}')
    stubborn = Judge(*["no"] * 5)

    assert (await graded(judge)(TASK, episode("4"))).value == 1
    with pytest.raises(InvalidReply, match="gave no score in 3 replies"):
        await graded(stubborn)(TASK, episode("4"))


async def test_a_judge_that_is_down_is_a_failed_system() -> None:
    with pytest.raises(TransientModelError):
        await graded(Judge(TransientModelError("down", kind="overloaded")))(TASK, episode("4"))


def test_a_rubric_without_a_placeholder_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mine\.md: the prompt lacks \{\{target\}\}"):
        graded(Judge(), rubric="{{question}} {{answer}}", rubric_file="mine.md")


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"score": 1}', 1), ('{"score": 0.2} no: {"score": 0.4}', 0.4), ('{"score": "1"}', None),
     ('{"score": true}', None), ('{"score": -1}', None), ("1", None), ('{"score": NaN}', None)],
)  # fmt: skip
def test_scores_are_read_from_the_last_object(text: str, value: float | None) -> None:
    score = read_score(text)

    assert (score.value if score else None) == value


def test_building_a_scorer_imports_no_algebra() -> None:
    code = (
        "import sys; from funcforge.adapters.scorers.make import *; "
        "make_scorer(ScorerSettings(kind='math')); "
        "assert not {'sympy', 'math_verify', 'numpy', 'nltk'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
