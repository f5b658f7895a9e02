"""Finished episodes for scorers to judge."""

from __future__ import annotations

from funcforge.engine.episode import Episode, Job


def episode(answer: str | None) -> Episode:
    """An episode that ended with this answer."""
    job = Job(evaluation="test/0", parameters_version="v", task_id="t")
    return Episode(id=job.episode_id, run_id="r", job=job, prompt="p", answer=answer)
