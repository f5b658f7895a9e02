"""A model judges by a rubric, where no rule can."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from importlib.resources import files

from ...engine.agents.template import check_prompt, fill
from ...engine.episode import Episode, Score
from ...engine.errors import ConfigError, InvalidReply
from ...engine.messages import Message, Reply, Request
from ...engine.tasks import Task
from .settings import ScorerSettings

Judge = Callable[[str, Request], Awaitable[Reply]]
"""Asks a model under a scope of the journal, within the run's budget and limits."""

PLACEHOLDERS = ("question", "answer", "target")
TRIES = 3
_SCORE = re.compile(r"\{[^{}]*\"score\"[^{}]*\}")


class ModelGraded:
    """Asks a judge for `{"score": 0..1, "reason": "..."}`; asks again where the form is wrong.

    Raises:
        ConfigError: On construction: no model, or the rubric lacks a placeholder.
    """

    def __init__(self, settings: ScorerSettings, judge: Judge | None) -> None:
        if settings.model is None:
            raise ConfigError("model_graded needs a model, the judge", key="scorer.model")
        if judge is None:
            raise ConfigError("model_graded needs a way to ask its model", key="scorer.kind")
        built_in = files(__package__) / "rubric.md"
        rubric = settings.rubric or built_in.read_text(encoding="utf-8")
        self._rubric = check_prompt(rubric, PLACEHOLDERS, file=settings.rubric_file)
        self._model = settings.model
        self._judge = judge

    async def __call__(self, task: Task, episode: Episode) -> Score:
        """Judge one answer.

        Raises:
            InvalidReply: The judge never gave a score; the episode fails, it is not scored 0.
            ModelError, BudgetExhausted: As for any call of a model.
        """
        if episode.answer is None:
            return Score(value=0.0, comment="no answer")
        values = {
            "question": task.prompt,
            # what is judged must not close its own tags and go on as the judge's instructions
            "answer": episode.answer.replace("</", "< /"),
            "target": task.target or "(none is given)",
        }
        messages = [Message(role="user", content=fill(self._rubric, values))]
        for _ in range(TRIES):
            request = Request(
                model=self._model, messages=tuple(messages), temperature=0.0, max_tokens=1024
            )
            reply = await self._judge(f"score/{episode.id}", request)
            score = read_score(reply.message.content)
            if score is not None:
                return score
            said = reply.message.content or "(empty message)"
            messages += [
                Message(role="assistant", content=said),
                Message(role="user", content='Reply with JSON only: {"score": 0.0, "reason": ""}'),
            ]
        raise InvalidReply(f"the judge {self._model} gave no score in {TRIES} replies")


def read_score(text: str) -> Score | None:
    """Return the last score object of a judge's reply, or None."""
    for found in reversed(_SCORE.findall(text)):
        try:
            data = json.loads(found)
            value = data["score"]
        except (ValueError, KeyError, RecursionError):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return Score(value=float(value), comment=str(data.get("reason", ""))[:2_000])
    return None
