"""GSM8K, trained from the example's config through LiteLLM over real HTTP, on both wires."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.end_to_end.command import ROOT, funcforge, settings
from tests.end_to_end.pupil import Pupil, read_solutions
from tests.loopback.provider import LoopbackProvider

GSM8K = ROOT.parent / "shared" / "data" / "gsm8k" / "train.jsonl"
PRICES = {"prompt_usd_per_million": 0.15, "completion_usd_per_million": 0.6}
PROMPT_PUSD, COMPLETION_PUSD = 150_000, 600_000  # the same, in picodollars a token

pytestmark = pytest.mark.skipif(
    not GSM8K.exists(), reason="GSM8K's train.jsonl is not in ../shared/data/gsm8k"
)


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "anthropic/claude-3-5-haiku-latest"])
async def test_training_on_gsm8k_learns_and_every_book_says_the_same(
    tmp_path: Path, model: str
) -> None:
    brain = Pupil(expression=lambda question: solutions.get(question, "0"))
    solutions = read_solutions(GSM8K)

    async with LoopbackProvider(brain=brain, latency_s=0.05) as provider:
        on_openai = model.startswith("openai/")
        base_url = provider.openai_base_url if on_openai else provider.anthropic_base_url
        ended = await funcforge(
            "train",
            ROOT / "examples" / "gsm8k.toml",
            "--json",
            "--quiet",
            *settings(
                agent__model=model,
                optimizer__model=model,
                tasks__path=str(GSM8K),
                tasks__test=30,
                training__patience=1,
                **{f'models__"{model}"__base_url': base_url},
                **{f'models__"{model}"__{name}': price for name, price in PRICES.items()},
            ),
            cwd=tmp_path,
        )
        ledger = provider.ledger

    assert ended.code == 0, ended.err
    told = ended.told
    assert told["status"] == "done"
    assert told["stopped_by"] == "patience"
    assert [made["outcome"] for made in told["decisions"]] == [
        "rolled_back",  # guesses
        "accepted",  # calculates
        "rolled_back",  # changes nothing
        "unchanged",
    ]
    assert told["functions"] == ["calculate"]
    assert told["before"]["test"]["score"] < 0.6
    assert told["after"]["test"]["score"] >= 0.9
    assert told["after"]["test"]["failed"] == 0

    # the provider's own book, the database and the summary agree to the last picodollar
    assert ledger.outcomes() == {"answered": len(ledger)}
    assert ledger.peak_in_flight > 8
    prompt = sum(entry.prompt_tokens for entry in ledger)
    completion = sum(entry.completion_tokens for entry in ledger)
    cost_pusd = prompt * PROMPT_PUSD + completion * COMPLETION_PUSD
    booked = (len(ledger), prompt, completion, cost_pusd)
    usage = told["usage"]
    assert (usage["calls"], usage["prompt_tokens"], usage["completion_tokens"]) == booked[:3]
    assert round(usage["cost_usd"] * 1e12) == cost_pusd
    with sqlite3.connect(tmp_path / ".funcforge" / "runs.db") as database:
        sums = "count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost_pusd)"
        assert database.execute(f"SELECT {sums} FROM calls").fetchone() == booked
        columns = "calls, prompt_tokens, completion_tokens, cost_pusd"
        assert database.execute(f"SELECT {columns} FROM runs").fetchone() == booked
    database.close()
