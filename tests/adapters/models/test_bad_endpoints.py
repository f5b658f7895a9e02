"""What a base URL may lead to: other pages, broken TLS, proxies, redirects, endless bodies."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from funcforge.adapters.models import fast
from funcforge.adapters.models.litellm import LiteLLMModel
from funcforge.adapters.models.settings import ModelSettings
from funcforge.engine.errors import ModelConfigError, ModelError, TransientModelError
from funcforge.engine.messages import Message, Reply, Request

from tests.loopback.brains import echo
from tests.loopback.faults import Fault, ScriptedFaults
from tests.loopback.provider import LoopbackProvider

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
LANES = pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "fall-back"])
GOOD = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Four."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55},
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_API_BASE")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@asynccontextmanager
async def serving(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def ask(url: str, *, is_fast: bool = True, timeout_s: float = 20.0) -> Reply:
    settings = ModelSettings(base_url=url, timeout_s=timeout_s)
    request = Request(model="openai/m", messages=(Message(role="user", content="2 + 2?"),))
    async with LiteLLMModel(default=settings, fast=is_fast) as model:
        return await model.complete(request)


async def error_of(url: str, *, is_fast: bool, timeout_s: float = 20.0) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(url, is_fast=is_fast, timeout_s=timeout_s)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "http://[::1/v1",
        "http://a b/v1",
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:port/v1",
    ],
)
def test_a_base_url_that_is_no_url_is_refused_before_the_first_call(url: str) -> None:
    with pytest.raises(ModelConfigError, match=r"is no URL: write http://HOST:PORT/v1"):
        LiteLLMModel(default=ModelSettings(base_url=url)).describe("openai/m")


@LANES
async def test_a_page_in_place_of_an_endpoint_is_named(is_fast: bool) -> None:
    async def page(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="<html>welcome</html>", content_type="text/html")

    async with serving(page) as url:
        error = await error_of(url, is_fast=is_fast)

    assert isinstance(error, TransientModelError)  # a gateway's page may be gone next time
    assert error.kind == "invalid_reply"
    assert "is base_url a chat endpoint?" in str(error) or not is_fast


@LANES
@pytest.mark.parametrize("status", [404, 405])
async def test_an_endpoint_that_is_not_there_is_a_config_error(status: int, is_fast: bool) -> None:
    async def missing(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, text="nothing here")

    async with serving(missing) as url:
        error = await error_of(url, is_fast=is_fast)

    assert isinstance(error, ModelConfigError)
    assert "its base_url is not a chat endpoint" in str(error)


@LANES
async def test_json_that_is_no_completion_is_unreadable(is_fast: bool) -> None:
    async def health(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async with serving(health) as url:
        error = await error_of(url, is_fast=is_fast)

    assert isinstance(error, TransientModelError)


@LANES
async def test_a_redirect_is_told_and_no_key_follows_it(is_fast: bool) -> None:
    seen: list[str] = []

    async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response(status=308, headers={"location": "/other/chat/completions"})

    async with serving(elsewhere) as url:
        error = await error_of(url, is_fast=is_fast)

    if is_fast:
        assert isinstance(error, ModelConfigError)
        assert "redirects elsewhere: set base_url to the new place" in str(error)
        assert seen == ["/v1/chat/completions"]


@LANES
async def test_a_certificate_that_nobody_signed_is_refused(is_fast: bool, tmp_path: Path) -> None:
    async with serving(_four, _certificate(tmp_path)) as url:
        error = await error_of(url, is_fast=is_fast)

    if is_fast:
        assert isinstance(error, ModelConfigError)
        assert "TLS certificate was refused: check base_url, or name your CA in SSL_CERT_FILE" in (
            str(error)
        )
    else:  # OpenAI's SDK says no more than that the connection failed
        assert error.kind in {"unsupported", "connection"}


_TRUSTING = """
import asyncio, sys
from tests.adapters.models.test_bad_endpoints import ask
print(asyncio.run(ask(sys.argv[1])).message.content)
"""


@pytest.mark.slow
async def test_a_ca_of_ones_own_is_named_in_the_environment(tmp_path: Path) -> None:
    import anyio

    async with serving(_four, _certificate(tmp_path)) as url:
        done = await anyio.run_process(
            [sys.executable, "-c", _TRUSTING, url],
            env=os.environ | {"SSL_CERT_FILE": str(tmp_path / "cert.pem")},
            stderr=subprocess.PIPE,
            check=False,
        )

    assert done.stdout.decode().strip() == "Four.", done.stderr.decode()[-800:]


@LANES
async def test_tls_spoken_to_a_plain_port_says_so(is_fast: bool) -> None:
    async with serving(_four) as url:
        error = await error_of(url.replace("http:", "https:"), is_fast=is_fast)

    if is_fast:
        assert isinstance(error, ModelConfigError)
        assert "does not speak TLS" in str(error)


@LANES
async def test_a_proxy_of_the_environment_is_used(
    is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(str(request.headers["host"]))
        return web.json_response(GOOD)

    async with serving(proxy) as url:
        monkeypatch.setenv("HTTP_PROXY", url.removesuffix("/v1"))
        reply = await ask("http://nowhere.invalid/v1", is_fast=is_fast)

    assert reply.message.content == "Four."
    assert seen == ["nowhere.invalid"]


async def test_a_host_without_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(_four) as url:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert (await ask(url)).message.content == "Four."


@LANES
async def test_a_proxy_that_wants_credentials_says_so(
    is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=407, text="Proxy Authentication Required")

    async with serving(proxy) as url:
        monkeypatch.setenv("HTTP_PROXY", url.removesuffix("/v1"))
        error = await error_of("http://nowhere.invalid/v1", is_fast=is_fast)

    assert isinstance(error, ModelConfigError)
    assert "the proxy of HTTP_PROXY or HTTPS_PROXY wants credentials" in str(error)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_replies_are_read(encoding: str) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.json_response(GOOD)
        response.enable_compression(web.ContentCoding(encoding))
        return response

    async with serving(handle) as url:
        assert (await ask(url)).message.content == "Four."


async def test_a_body_that_is_not_what_its_encoding_says_is_no_reply() -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"not gzip at all", headers={"content-encoding": "gzip"})

    async with serving(broken) as url:
        error = await error_of(url, is_fast=True)

    assert isinstance(error, TransientModelError)
    assert error.billed


async def test_a_small_body_that_unpacks_to_a_huge_one_is_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast, "LARGEST_REPLY", 1_000_000)
    packed = gzip.compress(b" " * 50_000_000)

    async def bomb(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=packed, headers={"content-encoding": "gzip"})

    async with serving(bomb) as url:
        error = await error_of(url, is_fast=True)

    assert "more than 1000000 bytes" in str(error)


async def test_an_endless_reply_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "LARGEST_REPLY", 1_000_000)
    async with LoopbackProvider(brain=echo, faults=ScriptedFaults(Fault.ENDLESS)) as provider:
        error = await error_of(provider.openai_base_url, is_fast=True)

    assert isinstance(error, TransientModelError)
    assert "more than 1000000 bytes" in str(error)


@LANES
async def test_a_reply_that_drips_without_end_meets_the_deadline(is_fast: bool) -> None:
    import anyio

    async def drip(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await anyio.sleep(0.01)

    async with serving(drip) as url:
        error = await error_of(url, is_fast=is_fast, timeout_s=0.5)

    assert isinstance(error, TransientModelError)
    assert error.kind == "timeout"


async def _four(request: web.BaseRequest) -> web.StreamResponse:
    return web.json_response(GOOD)


def _certificate(folder: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1 that is its own authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    alternative: Any = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
