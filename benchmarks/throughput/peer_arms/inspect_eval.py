"""Inspect AI: `eval` of a task of so many samples, one `generate` each."""

from __future__ import annotations

import tempfile
import time

from inspect_ai import Task, eval  # noqa: A004  its name
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from stopwatch import KEY, MODEL, options, question, report


def main() -> None:
    """Measure."""
    given = options()
    model = get_model(
        f"openai/{MODEL}",
        base_url=given.url,
        api_key=KEY,
        responses_api=False,
        config=GenerateConfig(max_connections=given.in_flight, max_tokens=256),
    )

    def run(episodes: int) -> None:
        samples = [Sample(input=question(number), target="42") for number in range(episodes)]
        task = Task(dataset=MemoryDataset(samples), solver=generate(cache=False), scorer=includes())
        with tempfile.TemporaryDirectory() as folder:
            [log] = eval(
                task, model=model, display="none", log_dir=folder, log_level="error",
                max_samples=given.in_flight, log_realtime=False,
            )  # fmt: skip
        assert log.status == "success", log.error
        assert log.results is not None
        assert log.results.scores[0].metrics["accuracy"].value == 1.0

    run(8)
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    run(given.episodes)
    report(given.episodes, time.perf_counter() - wall_s, time.process_time() - cpu_s)


main()
