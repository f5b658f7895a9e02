"""The HTML page of a comparison, in a real Chromium at desktop and phone width."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from funcforge.adapters.views.comparison.page import render_page

from tests.adapters.views.comparison.stored import HOSTILE, read, store_comparison
from tests.browser import CHROMIUM, Page, open_browser

ARMS = {"openai/a": 0.4, "openai/b": 0.7, "openai/c": 0.72}

with_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@asynccontextmanager
async def shown(file: Path, folder: Path, **size: Any) -> AsyncGenerator[Page]:
    """The page, once its script has drawn everything."""
    async with open_browser(folder / "profile") as browser:
        page = await browser.open(file, **size)
        await page.until("document.documentElement.dataset.ready === 'yes'")
        yield page


async def written(folder: Path, **comparison: Any) -> Path:
    """Store a comparison and write its page."""
    await store_comparison(folder / "runs.db", ARMS, **comparison)
    file = folder / "page.html"
    file.write_text(render_page(read(folder / "runs.db"), folder / "runs.db"), "utf-8")
    return file


async def test_the_page_is_one_file_whose_only_script_is_its_own(tmp_path: Path) -> None:
    html = (await written(tmp_path, tasks=20, text=HOSTILE)).read_text("utf-8")

    assert "default-src 'none'" in html
    assert html.count("<script>") == 1
    assert set(re.findall(r'<script type="([^"]*)"', html)) == {"text/plain"}
    assert not re.search(r"url\(|@import|https?://|\son[a-z]+=", html.replace("onerror=alert", ""))
    assert "\x1b" not in html


@with_browser
@pytest.mark.parametrize("width", [1280, 390])
async def test_what_was_learned_is_drawn_as_a_heat_map(tmp_path: Path, width: int) -> None:
    learned = [{"name": name, "parameters": {"source": f"{name}.json"}} for name in ("x", "y")]
    skills = {"m/a": 0.3, "m/a + x": 0.9, "m/a + y": 0.35, "m/b": 0.6, "m/b + x": 0.1,
              "m/b + y": 0.62, "m/c": 0.5, "m/c + x": 0.8, "m/c + y": 0.5}  # fmt: skip
    await store_comparison(tmp_path / "runs.db", skills, tasks=60, learned=learned)
    file = tmp_path / "page.html"
    file.write_text(render_page(read(tmp_path / "runs.db"), tmp_path / "runs.db"), "utf-8")

    async with shown(file, tmp_path, width=width, height=844) as page:
        assert page.errors == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        # red, green and blue of each gain on each model: untrained itself has no colour
        cells = await page.evaluate(
            """[...document.querySelector('table.matrix').tBodies[0].rows].map(row =>
                [...row.cells].slice(1).map(cell =>
                    getComputedStyle(cell).backgroundColor.match(/[0-9.]+/g).map(Number)))"""
        )
        assert all(cell[3:] == [0] for cell in cells[0]), "transparent"
        (better, worse, good), (same, *_) = cells[1], cells[2]
        assert better[2] > better[0], "a gain is blue"
        assert worse[0] > worse[2], "a loss is orange"
        assert better[0] < good[0] < same[0], "the larger, the darker"
        assert await page.evaluate("document.querySelectorAll('.forest').length") == 2
        # of 36 pairs the figure has the surest, the table all
        assert await page.evaluate("document.querySelectorAll('.point').length") == 9 + 15
        assert (
            await page.evaluate("document.querySelectorAll('details table tbody tr').length") >= 36
        )


@with_browser
@pytest.mark.parametrize("width", [1280, 390])
async def test_figures_are_drawn_and_nothing_complains(tmp_path: Path, width: int) -> None:
    file = await written(tmp_path, tasks=40, repeats=2, fails=lambda arm, task: task == 3)

    async with shown(file, tmp_path, width=width, height=844, dark=width == 390) as page:
        await page.until("!!document.querySelector('.side')")

        assert page.errors == []
        assert all(request.startswith(("file:", "data:")) for request in page.requests)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        # every mark lies in its box, and has a size
        assert await page.evaluate(
            """[...document.querySelectorAll('.point, .range')].every(mark => {
                const own = mark.getBoundingClientRect(),
                      box = mark.parentElement.getBoundingClientRect();
                return own.width > 0 && own.left >= box.left - 9 && own.right <= box.right + 9;
            })"""
        )
        assert await page.evaluate("document.querySelectorAll('.point').length") == 3 + 3
        colours = await page.evaluate(
            """(() => { const heat = document.getElementById('heat'),
                pixels = heat.getContext('2d').getImageData(0, 0, heat.width, heat.height).data;
                const found = new Set();
                for (let at = 0; at < pixels.length; at += 4)
                    found.add(pixels.slice(at, at + 3).join());
                return [heat.width, found.size]; })()"""
        )
        assert colours == [40, 4]  # never, once, always solved, and failed


@with_browser
async def test_texts_of_models_are_shown_not_obeyed(tmp_path: Path) -> None:
    file = await written(tmp_path, tasks=20, text=HOSTILE)

    async with shown(file, tmp_path) as page:
        said = await page.until("document.querySelector('.said:not(details *)')?.textContent")

        assert "</script><script>" in said
        assert await page.evaluate("document.title") != "owned"
        assert await page.evaluate("document.querySelectorAll('img').length") == 0
        assert page.errors == []


@with_browser
async def test_the_explorer_shows_where_two_arms_differ_side_by_side(tmp_path: Path) -> None:
    file = await written(tmp_path, tasks=60, repeats=2)
    story = read(tmp_path / "runs.db")
    means = {
        arm: {task: sum(s for s in scores if s is not None) for task, scores in found.items()}
        for arm, found in story.scores.items()
    }
    better = [t for t in means["openai/a"] if means["openai/c"][t] > means["openai/a"][t]]

    async with shown(file, tmp_path) as page:
        await page.evaluate(
            """(() => { for (const [id, value] of [['a', 0], ['b', 2], ['which', 'b']]) {
                const control = document.getElementById(id); control.value = value;
                control.dispatchEvent(new Event('input')); } })()"""
        )
        count = await page.evaluate("document.getElementById('count').textContent")
        assert count == f"{len(better)} of 60 tasks"
        await page.evaluate("document.querySelectorAll('.row')[1].click()")
        await page.until(f"document.querySelector('#task h3').textContent.includes('{better[1]}')")

        heads = await page.evaluate(
            "[...document.querySelectorAll('.side > header')].map(h => h.innerText)"
        )
        assert ["openai/a" in heads[0], "openai/c" in heads[1]] == [True, True]
        assert await page.evaluate("document.querySelectorAll('.side .call').length") == 2
        await page.evaluate("document.querySelectorAll('.tabs button')[1].click()")
        pressed = await page.evaluate(
            "[...document.querySelectorAll('.tabs button')].map(tab => tab.ariaPressed)"
        )
        assert pressed == ["false", "true"]
        assert page.errors == []


@with_browser
@pytest.mark.slow
async def test_the_explorer_works_with_15_000_episodes(tmp_path: Path) -> None:
    arms = {f"openai/{name}": 0.5 + place / 20 for place, name in enumerate("abcde")}
    await store_comparison(tmp_path / "runs.db", arms, tasks=1_000, repeats=3)
    file = tmp_path / "page.html"
    file.write_text(render_page(read(tmp_path / "runs.db"), tmp_path / "runs.db"), "utf-8")

    async with shown(file, tmp_path) as page:
        await page.evaluate(
            """(() => { const which = document.getElementById('which'); which.value = 'all';
                which.dispatchEvent(new Event('input')); })()"""
        )
        assert await page.evaluate("document.querySelectorAll('.row').length") < 60
        await page.evaluate("document.getElementById('list').scrollTop = 1e9")
        await page.until(
            "document.querySelector('#rows').lastChild.textContent.includes('task-00999')"
        )
        began_ms = await page.evaluate("performance.now()")
        await page.evaluate("document.querySelector('#rows').lastChild.click()")
        await page.until("document.querySelector('#task h3').textContent.includes('task-00999')")

        assert await page.evaluate("performance.now()") - began_ms < 1_000
        assert page.errors == []
