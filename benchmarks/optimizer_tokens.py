"""How many tokens does a step of the optimizer cost, beside the reference on the same history?

    python -m benchmarks.optimizer_tokens --cache FOLDER

Recorded epochs of 20 real dialogues each (../shared/data/recorded_math) are the history; the
optimizer's model adds the same three recorded functions in both arms. AG2's prompts are those of
its own class, run in an environment of its own; they are counted, not sent. Tokens are those of
gpt-4o-mini's tokenizer. What can come from the provider's cache is what a request has in common
with the one before it, from its first byte on.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from funcforge.adapters.models.loading import load_litellm
from funcforge.engine.canonical import canonical_json
from funcforge.engine.episode import Episode, Job, Score
from funcforge.engine.messages import Message, Reply, Request, ToolCall
from funcforge.engine.optimizer import Batch, Situation
from funcforge.engine.optimizers.functions import FunctionOptimizer, FunctionOptimizerSettings
from funcforge.engine.parameters import Parameters
from funcforge.engine.tasks import Task

from tests.engine.optimizers.desk import Desk

from .throughput.peer_environments import python_of

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "recorded_math"
RESULTS = Path(__file__).parent / "results" / "optimizer_tokens.md"
ARM = Path(__file__).parent / "throughput" / "peer_arms" / "ag2_prompts.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One recorded epoch: a run's dialogues on its 20 training tasks."""

    name: str
    rows: Sequence[Mapping[str, Any]]


def _read(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def epochs() -> list[Epoch]:
    """Return the first and the last epoch of each recorded training."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _read("episodes"):
        if row["phase"] == "train" and row["epoch"] in {0, 9}:
            found.setdefault(f"{row['run']} epoch {row['epoch']}", []).append(row)
    return [Epoch(name=name, rows=rows) for name, rows in sorted(found.items())]


def functions() -> list[dict[str, Any]]:
    """Return three recorded functions that both arms take."""
    found: dict[str, dict[str, Any]] = {}
    for row in _read("functions"):
        sound = row["schema_matches"] and row["defines_name"] and row["required_parameters"]
        if sound and not row["imports"]:
            found.setdefault(row["name"], row)
    return list(found.values())[:3]


def their_conversation(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a dialogue in AG2's form, messages as its agents keep them."""
    found = []
    for message in row["messages"]:
        kept: dict[str, Any] = {"content": message["content"], "role": message["role"]}
        if message.get("tool_calls"):
            kept["tool_calls"] = [
                {
                    "id": call["id"],
                    "function": {"arguments": call["arguments"], "name": call["name"]},
                    "type": "function",
                }
                for call in message["tool_calls"]
            ]
        if message.get("tool_call_id"):
            kept["tool_call_id"] = message["tool_call_id"]
        found.append(kept)
    return found


def our_episode(row: Mapping[str, Any], at: int) -> Episode:
    """Return a dialogue as an episode of ours."""
    messages = tuple(
        Message(
            role=message["role"],
            content=message["content"] or "",
            tool_calls=tuple(
                ToolCall(id=call["id"], name=call["name"], arguments=call["arguments"])
                for call in message.get("tool_calls") or ()
            ),
            tool_call_id=message.get("tool_call_id"),
        )
        for message in row["messages"]
    )
    job = Job(evaluation="train/0", parameters_version="", task_id=f"t{at:02d}", repeat=0)
    return Episode(
        id=job.task_id,
        run_id="recorded",
        job=job,
        prompt=row["problem"],
        messages=messages,
        answer=row["last_boxed"],
        score=Score(value=float(row["is_correct"])),
    )


async def our_requests(epoch: Epoch, added: Sequence[Mapping[str, Any]]) -> list[Request]:
    """Run one step of our optimizer; return what it asks."""
    replies = [
        Reply(
            message=Message(
                role="assistant",
                tool_calls=(ToolCall(id="c", name="add_function", arguments=json.dumps(call)),),
            ),
            finish="tool_calls",
        )
        for call in added
    ]
    desk = Desk(*replies, context_tokens=1_000_000)
    episodes = tuple(our_episode(row, at) for at, row in enumerate(epoch.rows))
    tasks = {e.job.task_id: Task(id=e.job.task_id, prompt=e.prompt, target=None) for e in episodes}
    batch = Batch(parameters=Parameters(), episodes=episodes, tasks=tasks)
    settings = FunctionOptimizerSettings(model="openai/gpt-4o-mini", preflight=False)
    optimizer = FunctionOptimizer(settings)
    await optimizer.propose(optimizer.init(), Situation(step=1, batch=batch), desk)
    assert len(desk.edits) == len(added), desk.refusals
    assert not desk.refusals, desk.refusals
    return desk.asked


def flat(request: Request) -> str:
    """Return a request as one text: tools, then messages, as providers put them."""
    tools = canonical_json([tool.to_json() for tool in request.tools])
    return tools + "".join(message.content for message in request.messages)


def theirs(given: list[dict[str, Any]], cache: Path) -> list[list[str]]:
    """Return AG2's requests for each history."""
    done = subprocess.run(
        [str(python_of("ag2", cache)), str(ARM)],
        input=json.dumps(given), capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = [line for line in done.stdout.splitlines() if line.startswith('{"asked"')][-1]
    found: list[list[str]] = json.loads(line)["asked"]
    return found


def main() -> None:
    """Count, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the environments")
    options = parser.parse_args()
    litellm = load_litellm()

    def tokens(text: str) -> int:
        count: int = litellm.token_counter(model="gpt-4o-mini", text=text)
        return count

    def shared(asked: list[str]) -> int:
        return sum(tokens(_beginning(one, two)) for one, two in pairwise(asked))

    chosen, added = epochs(), functions()
    ours = [
        {
            "name": row["name"],
            "description": row["description"],
            "arguments": _object(row),
            "packages": [],
            "code": row["code"],
        }
        for row in added
    ]
    replies = [
        [
            "add_function",
            json.dumps(one | {"arguments": json.dumps(one["arguments"]["properties"]),
                              "packages": ""}),
        ]
        for one in ours
    ]  # fmt: skip
    given = [
        {
            "conversations": [their_conversation(row) for row in epoch.rows],
            "satisfied": [bool(row["is_correct"]) for row in epoch.rows],
            "replies": replies,
        }
        for epoch in chosen
    ]
    rows = []
    for epoch, asked_of_ag2 in zip(chosen, theirs(given, options.cache), strict=True):
        asked = [flat(request) for request in asyncio.run(our_requests(epoch, ours))]
        rows.append(
            (
                epoch.name, sum(map(tokens, asked)), shared(asked),
                sum(map(tokens, asked_of_ag2)), shared(asked_of_ag2),
            )
        )  # fmt: skip
    lines = _table(rows)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _beginning(one: str, two: str) -> str:
    differs = (at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    return one[: next(differs, min(len(one), len(two)))]


def _object(row: Mapping[str, Any]) -> dict[str, Any]:
    schema = row["arguments"]
    schema = json.loads(schema) if isinstance(schema, str) else schema
    if schema.get("type") == "object" and "properties" in schema:
        return dict(schema)
    return {"type": "object", "properties": schema, "required": list(schema)}


def _table(rows: Sequence[tuple[str, int, int, int, int]]) -> list[str]:
    ratios = [ours / theirs for _, ours, _, theirs, _ in rows]
    kept = [shared / ours for _, ours, shared, _, _ in rows]
    theirs_kept = [shared / all_ for _, _, _, all_, shared in rows]
    lines = [
        "# Prompt tokens of one optimizer step",
        "",
        f"{time.strftime('%Y-%m-%d')}. `python -m benchmarks.optimizer_tokens --cache FOLDER`. "
        "Three actions on the history of 20 real dialogues; AG2 0.9.9's own prompts, counted with "
        "gpt-4o-mini's tokenizer. Shared: tokens in common with the request before, which a "
        "provider's cache can serve.",
        "",
        "| history | ours | shared | AG2's | shared | ours / AG2's |",
        "| - | -: | -: | -: | -: | -: |",
    ]
    for name, ours, shared, theirs, their_shared in rows:
        lines.append(
            f"| {name} | {ours:,} | {shared:,} | {theirs:,} | {their_shared:,} | "
            f"{ours / theirs:.2f} |"
        )
    lines += [
        "",
        f"Ours over AG2's: median {statistics.median(ratios):.2f} ({min(ratios):.2f}-"
        f"{max(ratios):.2f}). Of ours a cache can serve {statistics.median(kept):.0%} (of three "
        f"requests, the first has none before it), of AG2's {statistics.median(theirs_kept):.0%}.",
    ]
    return lines


if __name__ == "__main__":
    main()
