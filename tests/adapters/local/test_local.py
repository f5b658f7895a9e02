"""Open models in folders here: served and fine-tuned in real workers, on random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import anyio
import psutil
import pytest
from funcforge.adapters.local.model import LocalModels, LocalSettings
from funcforge.adapters.local.process import missing_packages
from funcforge.adapters.local.tuner import LocalTuner, LocalTuning
from funcforge.engine.errors import ModelConfigError, RequestRefused, TuningFailed
from funcforge.engine.messages import Message, Reply, Request, ToolCall
from funcforge.engine.tuning_jobs import TuningJob, TuningPlan
from funcforge.engine.tuning_sets import TuningExample, TuningPair, TuningSet

from tests.tiny.world import TOOLS

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing_packages()), reason=f"not installed: {', '.join(missing_packages())}"
    ),
]

CALL = ToolCall(id="c", name="call_person", arguments='{"name": "anna", "day": "monday"}')
TURN = Message(role="assistant", tool_calls=(CALL,))
EXAMPLE = TuningExample(
    task_id="a",
    tools=TOOLS,
    prompt=(
        Message(role="user", content="call hugo on friday"),
        Message(role="assistant", content="shown"),
        Message(role="user", content="call anna on monday"),
    ),
    completion=(TURN, Message(role="tool", content="ok", tool_call_id="c"), TURN),
)


@pytest.fixture
def base(tiny_base: Path) -> Path:
    return tiny_base


def request(base: Path, seed: int, **changes: object) -> Request:
    usual = {
        "model": f"local/{base}",
        "messages": (Message(role="user", content="call anna on monday"),),
        "tools": TOOLS,
        "max_tokens": 8,
        "seed": seed,
    }
    return Request(**{**usual, **changes})  # type: ignore[arg-type]


async def test_a_reply_hangs_on_its_own_seed_not_on_who_else_is_asked(base: Path) -> None:
    async with LocalModels(LocalSettings(threads=1)) as models:
        alone = [await models.complete(request(base, seed)) for seed in range(3)]
        together: dict[int, Reply] = {}

        async def ask(seed: int) -> None:
            together[seed] = await models.complete(request(base, seed))

        async with anyio.create_task_group() as group:
            for seed in range(3):
                group.start_soon(ask, seed)
        with pytest.raises(RequestRefused, match="exceed the window of 256") as error:
            await models.complete(request(base, 0, max_tokens=10_000))

    assert error.value.kind == "context_too_long"
    assert [reply.message for reply in alone] == [together[n].message for n in range(3)]
    assert len({reply.message.content for reply in alone}) == 3
    assert all(reply.usage.prompt_tokens > 0 and reply.finish == "length" for reply in alone)


async def test_no_model_is_a_clear_error(tmp_path: Path) -> None:
    models = LocalModels()

    with pytest.raises(ModelConfigError, match="holds no model"):
        models.describe(f"local/{tmp_path}")


async def ended(tuner: LocalTuner, job_id: str) -> TuningJob:
    while (job := await tuner.poll(job_id)).status == "running":  # noqa: ASYNC110 - as the engine
        await anyio.sleep(0.1)
    return job


def plan(base: Path, **changes: object) -> TuningPlan:
    usual = {
        "base": f"local/{base}",
        "data": TuningSet(examples=(EXAMPLE,) * 2),
        "epochs": 1,
        "seed": 0,
    }
    return TuningPlan(**{**usual, **changes})  # type: ignore[arg-type]


async def test_an_adapter_is_trained_served_and_trained_on(base: Path, tmp_path: Path) -> None:
    settings = LocalTuning(folder=tmp_path, lora_rank=4, batch_size=2, threads=1, max_length=256)
    async with LocalTuner(settings) as tuner:
        first = await ended(tuner, await tuner.start(plan(base)))
        assert first.status == "succeeded", first.message
        assert first.model is not None
        adapter = Path(first.model.removeprefix("local/"))
        second = await ended(tuner, await tuner.start(plan(adapter, seed=1)))
        assert second.status == "succeeded", second.message
        assert second.model != first.model

    assert json.loads((adapter / "adapter_config.json").read_text())[
        "base_model_name_or_path"
    ] == str(base)
    assert not list(adapter.glob("*.bin"))  # noqa: ASYNC240 - a few files
    async with LocalModels(LocalSettings(threads=1)) as models:
        reply = await models.complete(request(adapter, 0))
    assert reply.usage.completion_tokens > 0


async def test_preferences_are_trained_on_too(base: Path, tmp_path: Path) -> None:
    pair = TuningPair(
        task_id="a", tools=TOOLS, prompt=EXAMPLE.prompt, chosen=TURN,
        rejected=Message(role="assistant", content="no"),
    )  # fmt: skip
    settings = LocalTuning(folder=tmp_path, method="full", batch_size=2, threads=1)
    async with LocalTuner(settings) as tuner:
        data = TuningSet(pairs=(pair,) * 2)
        job = await ended(tuner, await tuner.start(plan(base, data=data)))

    assert job.status == "succeeded", job.message


async def test_leaving_kills_the_worker_and_the_next_tuner_goes_on(
    base: Path, tmp_path: Path
) -> None:
    settings = LocalTuning(folder=tmp_path, method="full", threads=1)
    async with LocalTuner(settings) as tuner:
        job_id = await tuner.start(plan(base))
        await anyio.sleep(0.5)
        (worker,) = psutil.Process().children()
    assert not worker.is_running()

    async with LocalTuner(settings) as tuner:
        job = await ended(tuner, job_id)
        assert job.status == "succeeded", job.message
        gone = tuner.poll("0" * 20)
        with pytest.raises(TuningFailed, match="is gone, and the job with it"):
            await gone


async def test_a_base_that_cannot_be_trained_says_why(base: Path, tmp_path: Path) -> None:
    mute = tmp_path / "mute"
    mute.mkdir()
    for file in base.iterdir():  # noqa: ASYNC240 - a few files
        if file.suffix != ".jinja":
            (mute / file.name).write_bytes(file.read_bytes())
    async with LocalTuner(LocalTuning(folder=tmp_path, threads=1)) as tuner:
        with pytest.raises(TuningFailed, match="holds no model to fine-tune"):
            await tuner.start(plan(tmp_path / "nothing"))
        job = await ended(tuner, await tuner.start(plan(mute)))

    assert job.status == "failed"
    assert "has no chat template" in job.message


def test_the_loss_is_on_the_agents_own_turns_only(base: Path, tmp_path: Path) -> None:
    from funcforge.adapters.exporters.tuning_rows import trl_example

    (tmp_path / "data.jsonl").write_text(json.dumps(trl_example(EXAMPLE)) + "\n")
    spec = {
        "base": str(base), "data": str(tmp_path / "data.jsonl"), "out": str(tmp_path / "out"),
        "method": "sft", "lora_rank": None, "epochs": 1, "learning_rate": 1e-3, "batch_size": 1,
        "max_length": 256, "seed": 0, "beta": 0.1, "threads": 1,
    }  # fmt: skip
    code = f"""
import json
from funcforge.adapters.local.worker import tuning
from funcforge.adapters.local.worker.loading import load_model, load_tokenizer
spec = {spec!r}
tokenizer = load_tokenizer(spec["base"])
trainer = tuning._trainer(spec, load_model(spec["base"]), tokenizer, tuning.Progress(None))
row = trainer.train_dataset[0]
print(json.dumps(tokenizer.decode([token for token in row["labels"] if token != -100])))
"""
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    turn = '<tool_call>{"name": "call_person", "arguments": {"name": "anna", "day": "monday"}}'
    assert json.loads(made.stdout.splitlines()[-1]) == f"{turn}</tool_call><|end|>" * 2
