"""A run's stored episodes as data to fine-tune on: through the command, out of a real database."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.cli.app import invoke
from funcforge.engine.checkpoint import CallRecord, Checkpoint, RunRecord
from funcforge.engine.episode import Episode, Job, Score
from funcforge.engine.events import EpisodeFinished, EvaluationFinished, EvaluationStarted
from funcforge.engine.functions import Function
from funcforge.engine.judgement import Judgement
from funcforge.engine.messages import Message, Reply, Request, ToolCall
from funcforge.engine.parameters import Demonstration, Parameters
from funcforge.engine.progress import Progress
from funcforge.storage.database import open_store

Captured = pytest.CaptureFixture[str]

KEY = "sk-abcdefghijklmnopqrstuvwxyz0123"
RATE = Function(
    name="rate",
    description="Distance over time.",
    arguments={"type": "object", "properties": {"km": {"type": "number"}}, "required": ["km"]},
    code="def rate(km):\n    return km\n",
)
SHOWN = Demonstration(
    task_id="d", prompt="shown?", messages=(Message(role="assistant", content="shown answer"),)
)
PARAMETERS = Parameters(functions=(RATE,), demonstrations=(SHOWN,))
OPENING = (
    Message(role="system", content="Solve it."),
    Message(role="user", content="shown?"),
    Message(role="assistant", content="shown answer"),
)


def turns(task: str, km: str, answer: str, call_id: str) -> tuple[Message, ...]:
    call = ToolCall(id=call_id, name="rate", arguments=km)
    return (
        *OPENING,
        Message(role="user", content=f"question {task}"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=f"result {km}", tool_call_id=call_id),
        Message(role="assistant", content=answer),
    )


def episode(
    split: str,
    task: str,
    repeat: int,
    value: float,
    messages: tuple[Message, ...],
    *,
    critic: float | None = None,
) -> Episode:
    job = Job(
        evaluation=f"{split}/0",
        parameters_version=PARAMETERS.version,
        task_id=task,
        repeat=repeat,
    )
    score = Score(value=value)
    if critic is not None:
        judgement = Judgement(episode_id=job.episode_id, score=critic)
        score = Score(value=critic, by="critic", gold=value, judgement=judgement)
    return Episode(
        id=job.episode_id,
        run_id="r1",
        job=job,
        prompt=f"question {task}",
        messages=messages,
        answer="gold" if value == 1.0 else "wrong",
        end="answered",
        score=score,
        metadata={"target": "the gold of the row"},
    )


EPISODES = [
    episode("train", "a", 0, 1.0, turns("a", '{"km": 1}', "\\boxed{1}", "c1"), critic=0.9),
    episode("train", "a", 1, 0.0, turns("a", '{"km": 2}', "\\boxed{2}", "c2"), critic=0.1),
    # the same as the first, but for the ids of its calls
    episode("train", "a", 2, 1.0, turns("a", '{"km": 1}', "\\boxed{1}", "c9"), critic=0.9),
    episode("train", "b", 0, 1.0, turns("b", f'{{"km": "{KEY}"}}', "b", "c3"), critic=0.2),
    episode("train", "c", 0, 1.0, turns("c", "{'km'", "c", "c4"), critic=0.9),
    episode("test", "t", 0, 1.0, turns("t", '{"km": 1}', "t", "c5"), critic=0.9),
]


@pytest.fixture
async def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a training `r1`; the episodes were judged by gold and by a critic."""
    monkeypatch.chdir(tmp_path)
    progress = Progress(incumbent=PARAMETERS.version, initial=PARAMETERS.version)
    async with open_store(".funcforge/runs.db") as store:
        await store.begin(RunRecord(id="r1", kind="train", name="n", config={}, seed=0))
        for split in ("train", "test"):
            await store.handle(
                EvaluationStarted(
                    run_id="r1", evaluation=f"{split}/0", parameters=PARAMETERS, episodes=1
                )
            )
            await store.handle(
                EvaluationFinished(
                    run_id="r1",
                    evaluation=f"{split}/0",
                    parameters_version=PARAMETERS.version,
                    score=1.0,
                    low=0.0,
                    high=1.0,
                    tasks=1,
                    episodes=1,
                    failed=0,
                )
            )
        for one in EPISODES:
            await store.commit_call(_call(one))
            await store.handle(EpisodeFinished(run_id="r1", episode=one))
        await store.save_checkpoint("r1", Checkpoint(step=0, state=progress.to_json()))
    return tmp_path


def _call(one: Episode) -> CallRecord:
    request = Request(model="test/m", messages=one.messages[:4], tools=(RATE.tool(),))
    reply = Reply(message=one.messages[4], finish="tool_calls")
    return CallRecord(
        run_id="r1", scope=one.id, index=0, repeat=one.job.repeat, request_hash=request.hash,
        request=request, reply=reply,
    )  # fmt: skip


def export(capsys: Captured, *options: str) -> list[dict[str, Any]]:
    assert invoke(["export", "r1", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_only_the_agents_own_turns_carry_weight(stored: Path, capsys: Captured) -> None:
    first, second = export(capsys, "--format", "sft", "--by", "gold")

    roles = [(message["role"], message.get("weight")) for message in first["messages"]]
    assert roles == [
        ("system", None),
        ("user", None),
        ("assistant", 0),  # a demonstration: context
        ("user", None),
        ("assistant", 1),
        ("tool", None),
        ("assistant", 1),
    ]
    call = first["messages"][4]["tool_calls"][0]
    assert call == {
        "id": "c1", "type": "function", "function": {"name": "rate", "arguments": '{"km": 1}'},
    }  # fmt: skip
    assert first["messages"][5]["tool_call_id"] == "c1"
    assert second["messages"][3]["content"] == "question b"


def test_the_learned_functions_schemas_come_along(stored: Path, capsys: Captured) -> None:
    for form in ("sft", "sft-trl"):
        (row, *_) = export(capsys, "--format", form, "--by", "gold")
        assert row["tools"] == [
            {
                "type": "function",
                "function": {
                    "name": "rate",
                    "description": "Distance over time.",
                    "parameters": dict(RATE.arguments),
                },
            }
        ]


def test_trl_rows_part_context_from_what_is_learned(stored: Path, capsys: Captured) -> None:
    (row, _) = export(capsys, "--format", "sft-trl", "--by", "gold")

    assert [message["role"] for message in row["prompt"]] == ["system", "user", "assistant", "user"]
    assert row["completion"] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"type": "function", "function": {"name": "rate", "arguments": {"km": 1}}}
            ],
        },
        {"role": "tool", "name": "rate", "content": 'result {"km": 1}'},
        {"role": "assistant", "content": "\\boxed{1}"},
    ]


def test_no_secret_and_no_gold_leaves_the_database(stored: Path, capsys: Captured) -> None:
    assert invoke(["export", "r1", "--format", "sft", "--by", "gold"]) == 0

    text = capsys.readouterr().out
    assert "[redacted]" in text
    assert KEY not in text
    assert "the gold of the row" not in text


def test_what_a_critic_judged_is_chosen_by_its_judgement(stored: Path, capsys: Captured) -> None:
    options = ("--format", "sft", "--min-score", "0.8")

    assert len(export(capsys, *options, "--by", "critic")) == 1  # b scores 0.2
    assert len(export(capsys, *options)) == 1  # the run's own signal was the critic's
    assert len(export(capsys, *options, "--by", "gold")) == 2


def test_a_preference_is_where_two_episodes_part(stored: Path, capsys: Captured) -> None:
    (row,) = export(capsys, "--format", "preferences")

    assert [message["role"] for message in row["input"]["messages"]][-1] == "user"
    assert row["input"]["tools"][0]["function"]["name"] == "rate"
    (preferred,), (other,) = row["preferred_output"], row["non_preferred_output"]
    assert preferred["tool_calls"][0]["function"]["arguments"] == '{"km": 1}'
    assert other["tool_calls"][0]["function"]["arguments"] == '{"km": 2}'

    (trl,) = export(capsys, "--format", "preferences-trl")
    assert trl["chosen"][0]["tool_calls"][0]["function"]["arguments"] == {"km": 1}
    assert trl["rejected"][0]["tool_calls"][0]["function"]["arguments"] == {"km": 2}


def test_what_was_left_out_is_said(stored: Path, capsys: Captured) -> None:
    options = ("--format", "sft", "--by", "gold", "-o", "d.jsonl", "--json")
    assert invoke(["export", "r1", *options]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["episodes"]) == (2, 5)
    assert told["left_out"] == {
        "no turn to learn, or an unreadable call": 1,
        "not chosen": 1,
        "the same as another": 1,
    }
    assert len((stored / "d.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "sft", "--split", "test"), "a training's test tasks are sealed"),
        (("--format", "sft", "--split", "validation"), "no episodes of validation"),
        (("--format", "sft", "--own-share", "0.5"), "needs a file to mix with"),
        (("--format", "sft", "--json"), "the rows need a file"),
        (("--format", "python", "--min-score", "0.5"), "goes with sft, sft-trl"),
        (("--format", "csv"), "allowed are python, openai, json, sft"),
        (("--format", "sft", "--general", "no.jsonl"), "cannot be read"),
        (("--format", "preferences", "--general", "no.jsonl"), "has no preferences"),
    ],
)
def test_what_makes_no_sense_is_refused(
    stored: Path, capsys: Captured, options: tuple[str, ...], message: str
) -> None:
    assert invoke(["export", "r1", *options]) == 2
    assert message in capsys.readouterr().err


def general(path: Path, rows: int) -> Path:
    file = path / "general.jsonl"
    with file.open("w") as out:
        for number in range(rows):
            messages = [
                {"role": "user", "content": f"general {number}"},
                {"role": "assistant", "content": "fine"},
            ]
            out.write(json.dumps({"messages": messages}) + "\n")
    return file


def test_general_data_comes_by_its_share_in_a_seeded_order(stored: Path, capsys: Captured) -> None:
    general(stored, 50)
    options = ("--format", "sft-trl", "--by", "gold", "--general", "general.jsonl")

    first = export(capsys, *options, "--seed", "1")
    again = export(capsys, *options, "--seed", "1")
    other = export(capsys, *options, "--seed", "2")

    kinds = Counter(row["prompt"][-1]["content"].split()[0] for row in first)
    assert kinds == {"question": 2, "general": 8}  # 0.2 to 0.8
    assert first == again != other
    drawn = [row["prompt"][-1]["content"] for row in first if not row["tools"]]
    assert len(set(drawn)) == 8  # none twice


def test_too_little_general_data_is_an_error_with_figures(stored: Path, capsys: Captured) -> None:
    general(stored, 3)
    options = ("--format", "sft", "--by", "gold", "--general", "general.jsonl")

    assert invoke(["export", "r1", *options]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "2 rows at a share of 0.2 need 8 general ones, there are 3" in error
    assert "at least 0.40" in error
    assert invoke(["export", "r1", *options, "--own-share", "0.4"]) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: is not valid JSON"),
        ('{"text": "x"}', "line 1: is no row of OpenAI's chat form"),
        ('{"messages": [{"role": "king", "content": "x"}]}', "role 'king'; allowed are"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "last message is not the assistant's"),
    ],
)
def test_a_wrong_general_row_is_named_by_its_line(
    stored: Path, capsys: Captured, line: str, message: str
) -> None:
    (stored / "general.jsonl").write_text(f"{line}\n" * 8)

    options = ("--format", "sft", "--by", "gold", "--general", "general.jsonl")
    assert invoke(["export", "r1", *options]) == 2

    assert message.replace("line 1", "line ").split(":")[-1] in capsys.readouterr().err
