"""Fills the page's template. Every text in it is untrusted and escaped by the template engine.

The page runs one script of its own, named by its hash in the page's policy; the conversations
stand in blocks of packed data, and the script shows them as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from ... import text
from ...lines import UNSAFE_WARNING
from .. import told
from ..heat import shades
from ..story import ComparisonStory
from ..tables import matrices, tables
from .conversations import explorer
from .figures import accuracies, differences, scatters

_MOST_VERDICTS = 12  # sentences on top; the table has all


def render_page(story: ComparisonStory, path: Path) -> str:
    """Return the page as one HTML document.

    Args:
        story: The comparison.
        path: Its database, for the conversations.

    Raises:
        StoreError: The database cannot be read.
    """
    from jinja2 import Environment, StrictUndefined  # 0.1 s: only where a page is written

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=text.percent, usd=text.usd, duration=text.duration, plural=text.plural,
        printable=lambda value: text.printable(value, keep="\n\t"),
    )  # fmt: skip
    here = resources.files(__package__)
    script = here.joinpath("page.js").read_text("utf-8")
    base = resources.files(f"{(__package__ or '').rpartition('.comparison')[0]}.report")
    html = environment.from_string(here.joinpath("page.html").read_text("utf-8")).render(
        story=story,
        run=story.run,
        style=base.joinpath("report.css").read_text("utf-8")
        + here.joinpath("page.css").read_text("utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        explorer=explorer(story, path),
        accuracies=accuracies(story),
        differences=differences(story),
        scatters=scatters(story),
        tables=[table for table in tables(story) if not table.heat],
        matrices=[(table, shades(table)) for table in matrices(story)],
        tiles=_tiles(story),
        verdicts=_verdicts(story),
        void=[arm for arm in story.arms if not arm.finished],
        config=json.dumps(story.run.config, indent=2, ensure_ascii=False),
        started=datetime.fromtimestamp(story.run.created_at_unix_s, UTC).strftime(
            "%Y-%m-%d %H:%M UTC"
        ),
        unsafe=UNSAFE_WARNING if story.run.sandbox == "unsafe" else "",
    )
    return html.encode("utf-8", "replace").decode("utf-8")


def _tiles(story: ComparisonStory) -> list[tuple[str, str, str]]:
    """Return (label, value, detail) of the figures on top."""
    scored = [(arm.estimate.score, arm.name) for arm in story.arms if arm.estimate is not None]
    best = max(scored, key=lambda one: one[0], default=None)
    usage = story.usage
    found = [] if best is None else [("highest accuracy", text.percent(best[0]), best[1])]
    told_apart = sum(pair.verdict != "cannot tell" for pair in story.pairs)
    return [
        *found,
        ("pairs told apart", f"{told_apart} of {len(story.pairs)}", f"at alpha {story.alpha:g}"),
        ("tasks", f"{story.tasks:,}", f"x {story.repeats}, {text.plural(len(story.arms), 'arm')}"),
        ("cost", text.usd(usage.cost_usd), f"{usage.tokens:,} tokens"),
        ("time", text.duration(story.run.seconds), text.plural(usage.calls, "model call")),
    ]


def _verdicts(story: ComparisonStory) -> list[tuple[str, str]]:
    """Return (kind, sentence): what can be told first."""
    ordered = sorted(story.pairs, key=lambda pair: (pair.verdict == "cannot tell", pair.p_holm))
    found = []
    for pair in ordered[:_MOST_VERDICTS]:
        if pair.verdict == "cannot tell":
            found.append(("unsure", f"{pair.a} or {pair.b}: {told.verdict(pair)}"))
        else:
            by = f"{abs(pair.difference) * 100:.1f} points"
            low, high = sorted((abs(pair.low) * 100, abs(pair.high) * 100))
            found.append(("sure", f"{told.verdict(pair)}, by {by} [{low:.1f}, {high:.1f}]"))
    return found
