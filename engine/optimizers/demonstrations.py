"""Learns demonstrations: the trajectories that were judged best become worked examples.

Source: arXiv 2411.19547, with worked examples in the place of fine-tuning, for models whose
weights nobody can touch. Which trajectories count as good is the selection strategy's; whether
they help is decided like any other proposal. A proposal that was rolled back is not repeated:
the next one takes the next best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..canonical import content_hash
from ..conversations import own_turns
from ..episode import Episode
from ..errors import ConfigError
from ..events import EditProposed
from ..messages import Message
from ..optimizer import Proposal, Situation, State, Workbench
from ..parameters import AddDemonstration, Demonstration
from ..selection import Strategy, Trajectory, trajectories_of

_MOST = 1_000  # demonstrations of a version; retrieval looks at each of them for each task


class DemonstrationOptimizer:
    """Proposes selected trajectories as demonstrations. Asks no model.

    The state holds the score that each task's demonstration was chosen by, so that only a better
    one replaces it.

    Raises:
        ConfigError: A number makes no sense.
    """

    def __init__(self, strategy: Strategy, *, per_step: int = 8) -> None:
        if per_step < 1:
            raise ConfigError("must be at least 1", key="optimizer.demonstrations_per_step")
        self._strategy = strategy
        self._per_step = per_step

    def init(self) -> State:
        """Return the empty state."""
        return {"scores": {}}

    async def propose(self, state: State, situation: Situation, workbench: Workbench) -> Proposal:
        """Propose the best trajectories that are not shown yet."""
        parameters = situation.batch.parameters
        shown = {one.task_id: one for one in parameters.demonstrations}
        scores = {task_id: float(score) for task_id, score in state["scores"].items()}
        ranked = [
            trajectory
            for trajectory in self._ranked(situation.batch.episodes)
            if _is_new(trajectory, shown, scores)
        ]
        # each roll-back since the last acceptance moves on to the next best
        start = len(situation.failures) * self._per_step
        chosen = ranked[start : start + self._per_step]
        room = _MOST - len(shown)
        edits = []
        for trajectory in chosen:
            made = demonstration(trajectory.episode)
            if made.task_id not in shown:
                if room == 0:
                    continue
                room -= 1
            scores[made.task_id] = trajectory.score
            edits.append(AddDemonstration(demonstration=made))
        for action, edit in enumerate(edits):
            await workbench.publish(
                EditProposed(run_id="", step=situation.step, action=action, edit=edit)
            )
        note = f"{len(edits)} of {len(ranked)} selected trajectories that are not shown yet"
        return Proposal(edits=tuple(edits), state={"scores": scores}, note=note)

    def _ranked(self, episodes: Sequence[Episode]) -> list[Trajectory]:
        """Return one trajectory of each task, the best first."""
        selected = self._strategy.select(trajectories_of(episodes)).chosen
        best: dict[str, Trajectory] = {}
        for trajectory in sorted(selected, key=lambda t: (-t.score, t.key)):
            if own_turns(trajectory.episode):
                best.setdefault(trajectory.episode.job.task_id, trajectory)
        return list(best.values())


def demonstration(episode: Episode) -> Demonstration:
    """Return an episode as a worked example. Its calls get ids that no other example has."""
    names: dict[str, str] = {}
    digest = content_hash([episode.job.task_id])[:8]

    def named(old: str) -> str:
        return names.setdefault(old, f"demo_{digest}_{len(names)}")

    messages = []
    for message in own_turns(episode):
        calls = tuple(replace(call, id=named(call.id)) for call in message.tool_calls)
        answers = named(message.tool_call_id) if message.tool_call_id is not None else None
        messages.append(replace(message, tool_calls=calls, tool_call_id=answers))
    return Demonstration(
        task_id=episode.job.task_id, prompt=episode.prompt, messages=_closed(messages)
    )


def _closed(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Leave out trailing calls that were never answered: providers refuse them in the middle."""
    kept = list(messages)
    while kept and (kept[-1].role != "assistant" or kept[-1].tool_calls):
        kept.pop()
    return tuple(kept)


def _is_new(
    trajectory: Trajectory, shown: dict[str, Demonstration], scores: dict[str, float]
) -> bool:
    task_id = trajectory.episode.job.task_id
    if task_id not in shown:
        return bool(demonstration(trajectory.episode).messages)
    better = trajectory.score > scores.get(task_id, 0.0) + 1e-9
    return better and demonstration(trajectory.episode) != shown[task_id]
