"""Values to store: a whole small run, with the odd characters that models send."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from funcforge.engine.checkpoint import CallRecord, RunRecord
from funcforge.engine.episode import Episode, Failure, FunctionCall, Job, Score
from funcforge.engine.events import (
    EditProposed,
    EpisodeFinished,
    EvaluationFinished,
    EvaluationStarted,
    Event,
    LimitChanged,
    RunFinished,
    RunStarted,
    StepDecided,
    StepStarted,
)
from funcforge.engine.functions import Function
from funcforge.engine.judgement import Judgement
from funcforge.engine.messages import Message, Reply, Request, Tool, ToolCall
from funcforge.engine.parameters import AddFunction, Demonstration, Parameters
from funcforge.engine.usage import Usage

RUN = "20250101-ab12"
USAGE = Usage(calls=1, prompt_tokens=120, completion_tokens=30, cached_tokens=20, cost_pusd=987_654)
ODD = "π ≈ 3 \U0001f40d \ud800 lone \x00 zero ' \" \\ \n"


def run(run_id: str = RUN, **changes: Any) -> RunRecord:
    usual = RunRecord(
        id=run_id,
        kind="train",
        name="quickstart",
        config={"model": "embedded/apprentice", "budget": {"calls": 10}},
        seed=7,
        task_hashes={"train": "aa", "test": "bb"},
        created_at_unix_s=1_700_000_000.0,
        sandbox="bubblewrap",
    )
    return replace(usual, **changes)


def call(index: int = 0, *, scope: str = "e1", run_id: str = RUN, text: str = "4") -> CallRecord:
    request = Request(
        model="test/model",
        messages=(
            Message(role="system", content="You solve tasks."),
            Message(role="user", content=f"What is 2 + 2? {ODD} {scope}/{index}"),
        ),
        tools=(
            Tool(
                name="add",
                description="adds",
                arguments={"type": "object", "properties": {"a": {"maximum": 10**30}}},
            ),
        ),
        temperature=0.5,
        seed=3,
        stop=("Observation:",),
        json_schema={"type": "object"},
    )
    wish = ToolCall(id="c1", name="add", arguments='{"a": 2, ')
    reply = Reply(
        message=Message(role="assistant", content=text, tool_calls=(wish,)),
        finish="tool_calls",
        usage=USAGE,
        latency_s=0.25,
        reasoning="it is easy",
    )
    return CallRecord(
        run_id=run_id,
        scope=scope,
        index=index,
        repeat=0,
        request_hash=request.hash,
        request=request,
        reply=reply,
        attempts=2,
        at_unix_s=1_700_000_100.0 + index,
    )


ADD = Function(
    name="add",
    description="adds two numbers",
    arguments={"type": "object", "properties": {"a": {}, "b": {}}},
    code="def add(a, b):\n    return a + b\n",
    packages=("math",),
)
EMPTY = Parameters()
LEARNED = Parameters(
    functions=(ADD,),
    instructions=f"Be exact. {ODD}",
    demonstrations=(
        Demonstration(
            task_id="t9", prompt="1+1?", messages=(Message(role="assistant", content="2"),)
        ),
    ),
    model="tuned/model",
)


def episode(
    task_id: str = "t1",
    *,
    evaluation: str = "train/0",
    parameters: Parameters = EMPTY,
    repeat: int = 0,
    score: float | None = 1.0,
    run_id: str = RUN,
    elapsed_s: float = 0.5,
) -> Episode:
    job = Job(
        evaluation=evaluation,
        parameters_version=parameters.version,
        task_id=task_id,
        repeat=repeat,
    )
    return Episode(
        id=job.episode_id,
        run_id=run_id,
        job=job,
        prompt=f"What is 2 + 2? {ODD}",
        messages=(
            Message(role="user", content=f"What is 2 + 2? {ODD}"),
            Message(
                role="assistant", tool_calls=(ToolCall(id="1", name="add", arguments="{}"),)
            ),
            Message(role="tool", content="4", tool_call_id="1"),
        ),
        calls=(
            FunctionCall(
                name="add",
                arguments="{}",
                outcome="exception" if score is None else "value",
                result=f"4 {ODD}",
                function_hash=ADD.hash,
                elapsed_s=elapsed_s / 2,
            ),
            FunctionCall(name="python", arguments="1", outcome="value", result="1"),
        ),
        answer=None if score is None else "4",
        end="failed" if score is None else "answered",
        score=None if score is None else Score(value=score, comment=f"because {ODD}"),
        failure=Failure(kind="rate_limit", message="429") if score is None else None,
        usage=USAGE,
        elapsed_s=elapsed_s,
        metadata={"category": "sums", "level": 3, "share": 0.5, "hard": False},
        state=None if score is None else {"balance": 4, "log": [ODD, None, 1.5]},
    )  # fmt: skip


def judged(task_id: str = "t1", *, score: float = 0.6, gold: float | None = 1.0) -> Episode:
    """An episode whose signal is a critic's, with the gold score beside it."""
    plain = episode(task_id)
    judgement = Judgement(
        episode_id=plain.id,
        score=score,
        dimensions={"goal": 0.7, "economy": 0.5},
        votes=(score - 0.1, score + 0.1),
        agreement=0.8,
        reason=f"nearly {ODD}",
        cut=True,
    )
    verdict = Score(
        value=score, comment=judgement.reason, by="critic", gold=gold, judgement=judgement
    )
    return replace(plain, score=verdict)


def finished(one: Episode, at_unix_s: float = 1_700_000_200.0) -> EpisodeFinished:
    return EpisodeFinished(run_id=one.run_id, at_unix_s=at_unix_s, episode=one)


def story(run_id: str = RUN) -> list[Event]:
    """The events of a small training, in one of the orders in which they may come."""
    common: dict[str, Any] = {"run_id": run_id, "at_unix_s": 1_700_000_300.0}
    return [
        RunStarted(**common, kind="train", name="q", resumed=False, sandbox="bubblewrap"),
        EvaluationStarted(**common, evaluation="train/0", parameters=EMPTY, episodes=3),
        *(finished(episode(f"t{n}", run_id=run_id, score=n / 2)) for n in range(3)),
        LimitChanged(**common, account="a", in_flight_limit=3, reason="429"),
        EvaluationFinished(
            **common,
            evaluation="train/0",
            parameters_version=EMPTY.version,
            score=0.5,
            low=0.1,
            high=0.9,
            tasks=3,
            episodes=3,
            failed=0,
            usage=USAGE + USAGE + USAGE,
        ),
        StepStarted(**common, step=1, incumbent_version=EMPTY.version),
        EditProposed(**common, step=1, action=0, edit=AddFunction(function=ADD)),
        EditProposed(**common, step=1, action=1, edit=None, refused=f"unreadable {ODD}"),
        EvaluationStarted(**common, evaluation="train/1", parameters=LEARNED, episodes=3),
        finished(episode("t0", evaluation="train/1", parameters=LEARNED, run_id=run_id)),
        finished(
            episode("t1", evaluation="train/1", parameters=LEARNED, run_id=run_id, score=None)
        ),
        StepDecided(
            **common,
            step=1,
            outcome="accepted",
            reason=f"100.0 % instead of 50.0 % {ODD}",
            incumbent_version=EMPTY.version,
            candidate=LEARNED,
            incumbent_score=0.5,
            score=1.0,
            effect=0.5,
            low=0.2,
            high=0.8,
            episodes=3,
            usage=USAGE,
            details={"verdict": "accept", "p_value": 0.01, "alpha": 0.1},
        ),
    ]


def ending(run_id: str = RUN, status: str = "done") -> RunFinished:
    return RunFinished(
        run_id=run_id,
        at_unix_s=1_700_000_400.0,
        status=status,
        stopped_by="patience",
        message="",
        usage=USAGE,
        seconds=42.0,
    )
