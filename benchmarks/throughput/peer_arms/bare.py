"""The limit: an aiohttp client that posts and reads, and does nothing else."""

from __future__ import annotations

import asyncio
import json

import aiohttp
from stopwatch import KEY, MODEL, options, question, run_async


async def main() -> None:
    """Measure."""
    given = options()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(number: int) -> object:
            body = {"model": MODEL, "messages": [{"role": "user", "content": question(number)}]}
            async with session.post(
                f"{given.url}/chat/completions", data=json.dumps(body), headers=headers
            ) as response:
                return json.loads(await response.read())["choices"][0]["message"]["content"]

        await run_async(ask, given.episodes, given.in_flight)


asyncio.run(main())
