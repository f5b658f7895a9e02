"""A key that comes back from the provider is kept nowhere, and the run goes on with what is."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.end_to_end.command import funcforge, settings
from tests.loopback.brains import is_optimizer
from tests.loopback.provider import LoopbackProvider
from tests.loopback.wire import Ask, Say, call, calls, text

KEY = "canary-0123456789-of-the-provider"
MODEL = "openai/gpt-4o-mini"
ADDED = {
    "name": "double",
    "description": f"Doubles a number with {KEY}.",
    "arguments": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    "packages": [],
    "code": f"def double(x):\n    # {KEY}\n    return 2 * x\n",
}


def repeat_the_key(ask: Ask) -> Say:
    if is_optimizer(ask):
        return calls(call("add_function", ADDED))
    results = [message for message in ask.messages if message.role == "tool"]
    if any(tool.name == "double" for tool in ask.tools) and not results:
        return calls(call("double", {"x": 21}))
    return text(f"By {KEY}: \\boxed{{{42 if results else 5}}}")


async def test_a_key_that_is_repeated_is_kept_nowhere_and_the_run_can_be_replayed(
    tmp_path: Path,
) -> None:
    tasks = tmp_path / "tasks.jsonl"
    rows = [{"id": f"t{n}", "prompt": f"Question {n}", "target": "42"} for n in range(9)]
    tasks.write_text("\n".join(map(json.dumps, rows)))
    config = tmp_path / "config.toml"
    config.write_text(
        f'[agent]\nmodel = "{MODEL}"\n[tasks]\npath = "tasks.jsonl"\ntrain = 6\ntest = 3\n'
        '[scorer]\nkind = "math"\n[training]\nepochs = 1\n[log]\nfile = "log.jsonl"\n'
    )
    env = {"OPENAI_API_KEY": KEY}

    async with LoopbackProvider(brain=repeat_the_key) as provider:
        place = {f'models__"{MODEL}"__base_url': provider.openai_base_url}
        trained = await funcforge("train", config, *settings(**place), cwd=tmp_path, env=env)
    shown = await funcforge("show", "latest", "--json", cwd=tmp_path, env=env)
    replayed = await funcforge("replay", "latest", cwd=tmp_path, env=env)

    assert [one.code for one in (trained, shown, replayed)] == [0, 0, 0], replayed.err
    assert shown.told["functions"] == ["double"]
    said = "".join(one.out + one.err for one in (trained, shown, replayed))
    kept = [said, *_texts(tmp_path)]
    assert any("[redacted]" in one for one in kept)
    assert not [one[:200] for one in kept if KEY in one]


def _texts(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes().decode("utf-8", "replace")
    with sqlite3.connect(folder / ".funcforge" / "runs.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE "
                                                       "type = 'table'")]  # fmt: skip
        for table in tables:
            for row in database.execute(f"SELECT * FROM {table}"):
                for value in row:
                    yield zlib.decompress(value).decode() if _packed(value) else str(value)
    database.close()


def _packed(value: object) -> bool:
    return isinstance(value, bytes) and value[:1] == b"\x78"
