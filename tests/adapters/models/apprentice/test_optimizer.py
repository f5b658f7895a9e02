"""The optimizer role, on the real prompts of the function optimizer."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from funcforge.adapters.models.apprentice import reply
from funcforge.engine.functions import Function
from funcforge.engine.messages import Message, Request
from funcforge.engine.optimizer import FailedAttempt
from funcforge.engine.optimizers.actions import action_tools
from funcforge.engine.parameters import Parameters

from tests.adapters.models.apprentice.problems import LEARNABLE, problems
from tests.adapters.models.apprentice.school import MODEL, Bench, accuracy, step


@pytest.mark.parametrize("family", LEARNABLE)
async def test_it_learns_each_family_from_a_dozen_examples(family: str) -> None:
    tasks = problems(family, 37)
    train, test = tasks[:12], tasks[12:]

    learned = await step(train)

    assert accuracy(test, Parameters()) <= 0.3
    assert accuracy(test, learned) >= 0.9


async def test_several_families_are_learned_apart_in_one_step() -> None:
    names = ("rate", "mixture", "dates")
    tasks = [problems(name, 20) for name in names]
    train = [task for family in tasks for task in family[:10]]
    test = [task for family in tasks for task in family[10:]]

    learned = await step(train)

    assert accuracy(test, learned) >= 0.9


@pytest.mark.parametrize("family", LEARNABLE)
async def test_permuted_answers_teach_nothing(family: str) -> None:
    tasks = problems(family, 32)
    train, test = tasks[:12], tasks[12:]
    answers = [task.target or "" for task in train]
    random.Random(3).shuffle(answers)
    shown = {task.id: answer for task, answer in zip(train, answers, strict=True)}

    learned = await step(train, shown=shown)

    assert accuracy(test, learned) <= 0.3


@pytest.mark.parametrize("family", ["rate", "whole units", "least common multiple", "digits"])
async def test_too_few_examples_teach_something_wrong(family: str) -> None:
    tasks = problems(family, 31)
    train, validation = tasks[:1], tasks[1:]

    learned = await step(train)

    assert accuracy(train, learned) == 1.0
    # right by chance at best: on other tasks this is no improvement, so it is rolled back
    assert accuracy(validation, learned) <= 0.1


async def test_without_right_answers_it_ends_the_step_and_says_why() -> None:
    bench = Bench()

    learned = await step(problems("rate", 12), shown={}, bench=bench)

    assert learned == Parameters()
    (call,) = reply(bench.asked[-1]).message.tool_calls
    assert call.name == "terminate"
    assert "No right answers are shown" in call.arguments


async def test_when_all_is_rejected_it_runs_out_of_ideas_instead_of_repeating_one() -> None:
    train = problems("rate", 10)
    failures: list[FailedAttempt] = []

    for number in range(12):
        learned = await step(train, failures=failures)
        if not learned.functions:
            break
        assert learned not in [failure.parameters for failure in failures]
        failures.append(FailedAttempt(parameters=learned, score=0.0, step=number))

    assert failures
    assert not learned.functions


async def test_a_function_that_misleads_is_revised() -> None:
    train = problems("rate", 20)
    right = await step(train)
    (function,) = right.functions
    wrong = Function(
        name=function.name,
        description=function.description,
        arguments=function.arguments,
        # right only where the quotient is small
        code=function.code.replace("return km / hours", "return min(km / hours, 60)"),
    )

    revised = await step(train, Parameters(functions=(wrong,)))

    assert [f.name for f in revised.functions] == [function.name]
    assert accuracy(problems("rate", 45)[20:], revised) >= 0.9


async def test_a_function_that_never_helps_is_removed() -> None:
    train = problems("rate", 10)
    (function,) = (await step(train)).functions
    useless = Function(
        name="useless",
        description=function.description,
        arguments=function.arguments,
        code="def useless(**numbers):\n    return -1\n",
    )
    names = ", ".join(function.arguments["properties"])
    useless = Function(
        name="useless",
        description=useless.description,
        arguments=useless.arguments,
        code=f"def useless({names}):\n    return -1\n",
    )

    learned = await step(train, Parameters(functions=(useless,)))

    assert "useless" not in [f.name for f in learned.functions]
    assert accuracy(train, learned) == 1.0


async def test_it_can_name_all_actions_of_a_step_at_once() -> None:
    tasks = [problems(name, 10) for name in ("rate", "pay", "dates")]

    learned = await step([task for family in tasks for task in family], progressive=False)

    assert len(learned.functions) == 3


async def test_equal_prompts_give_equal_actions() -> None:
    bench = Bench()
    await step(problems("pay", 10), bench=bench)

    assert reply(bench.asked[0]) == reply(bench.asked[0])


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "fence: [x]",
        "fence: [x]\n[x] TASK\n[x] EXPECTED\nnan\n[x] QUESTION\n",
        "fence: [x]\n[x] TASK score=nan id=1\n[x] EXPECTED\n1e999\n[x] QUESTION\nHow many are 3?",
        "fence: [x]\n[x] CODE\ndef f(): pass\n[x] LIST_B\n[x] UNCHANGED name=gone\n[x] FUNCTION",
        "fence: [x]\n[x] LIST_A\n[x] FUNCTION name=f\n[x] ARGUMENTS\n" + "[" * 5_000,
        "fence: [x]\n[x] ACTION next=all limit=99999999999",
    ],
)
def test_a_broken_prompt_ends_the_step(prompt: str) -> None:
    request = Request(
        model=MODEL, messages=(Message(role="user", content=prompt),), tools=action_tools()
    )

    (call,) = reply(request).message.tool_calls

    assert call.name in ("terminate", "add_function")


def test_the_reply_does_not_depend_on_the_process() -> None:
    # sets of words iterate in another order in every process
    code = (
        "import asyncio\n"
        "from tests.adapters.models.apprentice.problems import problems\n"
        "from tests.adapters.models.apprentice.school import step\n"
        "tasks = [t for n in ('rate', 'pay', 'dates', 'digits') for t in problems(n, 9)]\n"
        "print(asyncio.run(step(tasks)).to_json())\n"
    )
    root = Path(__file__).resolve().parents[4]

    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(said) == 1
