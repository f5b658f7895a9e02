"""Run every benchmark, one after the other; each writes its results. `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys

QUESTIONS = {
    "overhead": "what does the engine cost per episode?",
    "durability": "what does it cost to lose nothing?",
    "sandbox": "what does a call in the sandbox cost?",
    "throughput.models": "what does a model call cost?",
    "throughput.episodes single": "how many episodes a second?",
    "throughput.episodes tools": "what do tool-using episodes cost?",
    "throughput.episodes workers": "what do workers and Ray add?",
    "throughput.million": "does an episode cost more after a million others?",
    "throughput.soak": "does anything grow in half an hour?",
    "task_sets": "how large may a task set be?",
    "recorded_dialogues": "do the agents and scorers take what real models wrote?",
    "recorded_calls": "do recorded functions do in the sandbox what they did?",
    "recorded_proposals": "does the optimizer take what real models proposed?",
    "api_bank": "do the recorded API calls give what they gave?",
    "critic": "what does a critic teach without gold?",
    "finetuning": "does a model get better by what a critic selects? (needs: make finetune)",
    "critic_votes": "do a critic's votes keep the rate and the budget?",
    "recorded_training": "do whole trainings run on what real models wrote?",
    "comparison": "are arms kept apart, is it fast, are the intervals honest?",
    "caps": "is a cap ever exceeded?",
    "rates": "how much of an allowed rate is used?",
    "recorded_comparison": "does a report say what a replication published, and no more?",
    "killing": "what is lost when the process is killed a hundred times?",
    "acceptance": "do the acceptance policies keep their promises?",
}


def main() -> None:
    """Run the benchmarks named on the command line, or all of them."""
    for name in sys.argv[1:] or QUESTIONS:
        print(f"\n== {name}: {QUESTIONS.get(name, '')}", flush=True)
        subprocess.run([sys.executable, "-m", *f"benchmarks.{name}".split()], check=True)


if __name__ == "__main__":
    main()
