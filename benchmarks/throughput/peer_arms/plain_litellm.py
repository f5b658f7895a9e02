"""Plain `litellm.acompletion`, its own way to a provider."""

from __future__ import annotations

import asyncio

from stopwatch import KEY, MODEL, options, question, run_async


async def main() -> None:
    """Measure."""
    given = options()
    import litellm

    litellm.suppress_debug_info = True

    async def ask(number: int) -> object:
        reply = await litellm.acompletion(
            model=f"openai/{MODEL}",
            messages=[{"role": "user", "content": question(number)}],
            api_base=given.url,
            api_key=KEY,
            max_tokens=256,
        )
        return reply.choices[0].message.content

    await run_async(ask, given.episodes, given.in_flight)


asyncio.run(main())
