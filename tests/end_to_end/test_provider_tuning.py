"""A training by fine-tuning at a provider: the whole life cycle, killed and resumed within."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.command import KEYS, ended, funcforge, settings, start
from tests.end_to_end.leftovers import until
from tests.loopback.process import RemoteProvider, provider_process
from tests.loopback.wire import Ask, Say, text

pytestmark = pytest.mark.slow

BRAIN = "tests.end_to_end.test_provider_tuning:brain"
BASE = "gpt-4o-mini-2024-07-18"


def brain(ask: Ask) -> Say:
    """Know half of the answers; all of them once fine-tuned."""
    a, b = (int(part) for part in ask.question.removesuffix("?").split(" + "))
    right = ask.model.startswith("ft:") or (a + b) % 2 == 0
    return text(f"\\boxed{{{a + b if right else 0}}}")


def config(folder: Path, provider: RemoteProvider, model: str = f"openai/{BASE}") -> Path:
    rows = [
        {"id": f"t{n}", "prompt": f"{n} + {n // 2}?", "target": str(n + n // 2)} for n in range(40)
    ]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = folder / "tune.toml"
    file.write_text(
        f"""
        [agent]
        model = "{model}"
        python = false
        [optimizer]
        kind = "finetune"
        [selection]
        strategy = "threshold"
        minimum = 1.0
        [finetune]
        epochs = 2
        least = 5
        poll_s = 0.2
        usd_per_million_tokens = 3.0
        [tasks]
        path = "tasks.jsonl"
        train = 20
        test = 20
        [training]
        epochs = 1
        [budget]
        cost_usd = 5.0
        [models."{model}"]
        base_url = "{provider.openai_base_url}"
        """
    )
    return file


def served(provider: RemoteProvider) -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(
        provider.openai_base_url.removesuffix("/v1") + "/tuning", timeout=10
    ).json()
    return told


async def test_a_killed_wait_goes_on_with_the_same_job_and_ends_in_a_better_model(
    tmp_path: Path,
) -> None:
    async with provider_process("--tuning-polls", "12", brain=BRAIN) as provider:
        file = config(tmp_path, provider)
        process = await start("train", file, "--json", "--quiet", cwd=tmp_path)
        await until(lambda: any(job["polls"] >= 2 for job in served(provider)["jobs"]))
        process.kill()
        await ended(process)
        (before,) = served(provider)["jobs"]
        assert before["status"] == "running"

        resumed = await funcforge("resume", "latest", "--json", "--quiet", cwd=tmp_path)
        replayed = await funcforge("replay", "latest", "--json", cwd=tmp_path)
        after = served(provider)

    assert resumed.code == 0, resumed.err
    told = resumed.told
    assert [made["outcome"] for made in told["decisions"]] == ["accepted"]
    assert told["after"]["test"]["score"] == 1.0 > told["before"]["test"]["score"]
    (job,) = after["jobs"]  # one job, one file, however often we died
    assert len(after["files"]) == 1
    assert (job["id"], job["status"]) == (before["id"], "succeeded")
    # the database holds the job, its cost and no key
    with sqlite3.connect(tmp_path / ".funcforge" / "runs.db") as database:
        where = "FROM calls WHERE scope = 'step/1/tuning'"
        sums = "count(*), sum(prompt_tokens), sum(cost_pusd)"
        tokens = job["trained_tokens"]
        booked = database.execute(f"SELECT {sums} {where}").fetchone()
        assert booked == (2, tokens, tokens * 3_000_000)
        models = [row[0] for row in database.execute("SELECT body FROM parameters")]
    assert any(f"openai/ft:{BASE}:loop:ff-" in body for body in models)
    stored = b"".join(f.read_bytes() for f in (tmp_path / ".funcforge").rglob("*") if f.is_file())
    assert KEYS["OPENAI_API_KEY"].encode() not in stored
    assert replayed.code == 0, replayed.err


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("openai/gpt-fails", "failed: loss is not finite"),
        ("openai/gpt-rejects", "the training file has too few examples"),
        ("openai/gpt-vanishes", "any more"),
        ("openai/chat-only", "the base model cannot be fine-tuned there"),
        ("openai/gpt-hangs", "did not end within 1 s"),
    ],
)
async def test_a_job_without_a_model_stops_the_run_with_the_reason(
    tmp_path: Path, model: str, message: str
) -> None:
    async with provider_process("--tuning-polls", "2", brain=BRAIN) as provider:
        file = config(tmp_path, provider, model)
        changes = {
            f'models__"{model}"__prompt_usd_per_million': 1.0,
            f'models__"{model}"__completion_usd_per_million': 1.0,
            "finetune__wait_s": 1.0,
        }
        stopped = await funcforge("train", file, "--json", *settings(**changes), cwd=tmp_path)

    assert stopped.code == 1, stopped.err
    assert message in stopped.err + stopped.out
    assert KEYS["OPENAI_API_KEY"] not in stopped.err + stopped.out
