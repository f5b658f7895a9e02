"""DSPy: `dspy.Predict`, awaited (variant "async") or by its evaluator's threads ("threads")."""

from __future__ import annotations

import asyncio
import logging
import time

import dspy
from stopwatch import KEY, MODEL, options, question, report, run_async


def main() -> None:
    """Measure."""
    given = options()
    logging.disable(logging.WARNING)
    lm = dspy.LM(f"openai/{MODEL}", api_base=given.url, api_key=KEY, cache=False, max_tokens=256)
    dspy.configure(lm=lm)
    predict = dspy.Predict("question -> answer")
    if given.variant == "async":

        async def ask(number: int) -> object:
            return (await predict.acall(question=question(number))).answer

        asyncio.run(run_async(ask, given.episodes, given.in_flight))
        return
    devset = [
        dspy.Example(question=question(number), answer="42").with_inputs("question")
        for number in range(given.episodes)
    ]
    evaluate = dspy.Evaluate(
        devset=devset,
        metric=lambda example, found, trace=None: "42" in found.answer,
        num_threads=given.in_flight,
        display_progress=False,
    )
    evaluate(predict, devset=devset[:64])
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    found = evaluate(predict)
    report(given.episodes, time.perf_counter() - wall_s, time.process_time() - cpu_s)
    assert float(getattr(found, "score", found)) == 100.0


main()
