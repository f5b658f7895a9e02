"""A real Chromium without a window, driven over its DevTools protocol.

async with open_browser(folder) as browser:
    page = await browser.open(file, width=390, height=844)
    assert await page.evaluate("document.title") == "..."
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """One tab. `errors` and `requests` hold what it complained about and asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                waiting = self._waiting.pop(told["id"])
                if not waiting.done():
                    waiting.set_result(told)
                continue
            given = told.get("params", {})
            match told["method"]:
                case "Runtime.exceptionThrown":
                    self.errors.append(str(given["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if given["type"] in ("error", "warning"):
                    self.errors.append(str(given["args"]))
                case "Log.entryAdded" if given["entry"]["level"] in ("error", "warning"):
                    self.errors.append(given["entry"]["text"])
                case "Network.requestWillBeSent":
                    self.requests.append(given["request"]["url"])

    async def send(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        told = await asyncio.wait_for(self._waiting[number], 60)
        assert "error" not in told, told
        return told["result"]

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression; a promise is waited for."""
        found = await self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, script: str, within_s: float = 30.0) -> Any:
        """Return the first true value of an expression."""
        async with asyncio.timeout(within_s):
            # another process: no event tells when
            while not (found := await self.evaluate(script)):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.02)
        return found

    async def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Write a picture."""
        found = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(found["data"]))

    async def aclose(self) -> None:
        """Let go of the tab."""
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        await self._socket.close()


class Browser:
    """The browser."""

    def __init__(self, session: aiohttp.ClientSession, port: str) -> None:
        self._session = session
        self._port = port
        self._pages: list[Page] = []

    async def open(
        self, file: Path, *, width: int = 1280, height: int = 900, dark: bool = False
    ) -> Page:
        """Open a file, by its absolute path, and wait until it is loaded."""
        place = f"http://127.0.0.1:{self._port}/json/new?about:blank"
        async with self._session.put(place) as response:
            tab = await response.json()
        socket = await self._session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=2**28)
        page = Page(socket)
        self._pages.append(page)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.send(f"{domain}.enable")
        await page.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await page.send("Emulation.setEmulatedMedia", features=[scheme])
        await page.send("Page.navigate", url=f"file://{file}")
        await page.until("location.protocol === 'file:' && document.readyState === 'complete'")
        return page

    async def aclose(self) -> None:
        """Let go of all tabs."""
        for page in self._pages:
            await page.aclose()


@asynccontextmanager
async def open_browser(folder: Path) -> AsyncGenerator[Browser]:
    """Start a Chromium that keeps its profile in `folder`, and end it with the block."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--hide-scrollbars",
        f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        told = folder / "DevToolsActivePort"
        async with asyncio.timeout(60):
            # another process: no event tells when
            while not (told.exists() and told.read_text().count("\n")):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as session:
            browser = Browser(session, told.read_text().split("\n")[0])
            try:
                yield browser
            finally:
                await browser.aclose()
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()
