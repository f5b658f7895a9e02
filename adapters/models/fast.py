"""The fast lane: requests as LiteLLM spells them, over one aiohttp session of our own.

LiteLLM stays the authority for providers, keys, parameters and prices; only its call wrapper,
which costs several milliseconds of CPU a call, is left out. On any doubt a request is not taken.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

import aiohttp
import anyio.to_thread
import orjson
from yarl import URL

from ...engine.messages import Request
from .chat import chat_tools
from .failures import connection_lost, from_status, unreadable, unusable_url
from .handlers import HANDLER_WIRE, HANDLERS_TESTED_FROM, has_lasting_aws_key
from .loading import is_tested_version, litellm_version
from .resolution import ResolvedModel
from .spelling import Letter, Unproven, Wire
from .streams import FirstToken, Stream, StreamFailed, StreamTooLong, gather
from .wires import FAST, make_wire

LARGEST_REPLY = 16 * 1024 * 1024  # bytes, after decompression
LARGEST_STREAM = 4 * LARGEST_REPLY  # each piece of a few letters has a frame of its own
LARGEST_ERROR = 64 * 1024
MOST_WIRES = 256  # spellings kept; a run has a few for each version of its parameters

# settings of LiteLLM or its environment that change what it sends, in ways we do not follow
_GLOBALS = ("headers", "organization", "api_base", "api_key", "openai_key", "anthropic_key")
_VARIABLES = (
    "OPENAI_ORGANIZATION",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "SSL_VERIFY",
    "SSL_CERTIFICATE",
    "EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER",
    "ANTHROPIC_AUTH_TOKEN",
    "LITELLM_ANTHROPIC_DISABLE_URL_SUFFIX",
)
# whose base URL LiteLLM's mapping or handler puts in
_KNOWN_PLACES = frozenset({"openai", "anthropic"}) | HANDLER_WIRE
_KNOWN_EXTRA = frozenset(
    {"top_p", "presence_penalty", "frequency_penalty", "reasoning_effort", "parallel_tool_calls"}
    | {"user", "logit_bias", "thinking"}
)


class FastLane:
    """Posts requests that have a proven spelling.

    Args:
        litellm: The loaded module.
        notice: Told once per model why its requests take the other lane.
    """

    def __init__(self, litellm: Any, notice: Callable[[str], None] | None = None) -> None:
        self._litellm = litellm
        self._notice = notice
        self._session: aiohttp.ClientSession | None = None
        self._wires: OrderedDict[Hashable, Wire | None] = OrderedDict()
        self.reasons: dict[str, str] = {}  # model -> why it takes the other lane

    async def ask(
        self, resolved: ResolvedModel, request: Request, heard: FirstToken | None = None
    ) -> Any:
        """Post a request; return the chat completion in OpenAI's form, unchecked.

        Args:
            resolved: Whom to ask.
            request: What.
            heard: Told of the first token, where the model streams.

        Raises:
            Unproven: Nothing was sent: it must take the other lane.
            ModelError: No usable reply.
        """
        if resolved.provider == "bedrock" and "boto3" not in sys.modules:
            await anyio.to_thread.run_sync(_import_boto3)  # half a second
        wire = self._wire(resolved, request)
        if wire is None:
            raise Unproven(self.reasons[resolved.model])
        try:
            letter = wire.write(request)
        except Exception as error:  # what LiteLLM cannot translate is for its own call to judge
            raise Unproven(f"{type(error).__name__}: {error}") from error
        stream = wire.stream() if heard is not None else None
        status, headers, raw = await self._post(resolved, letter, stream, heard)
        source = resolved.source
        if status != 200:
            raise from_status(source, status, raw.decode("utf-8", "replace"), headers)
        try:
            return wire.read(raw)
        except Exception as error:  # LiteLLM's reading raises whatever the reply makes it
            if raw.lstrip()[:1] not in {b"{", b"["}:
                kind = headers.get("content-type", "of no type")
                why = f"not JSON but {kind}: is base_url a chat endpoint?"
                raise unreadable(source, why) from error
            raise unreadable(source, f"{type(error).__name__}: {error}") from error

    def _wire(self, resolved: ResolvedModel, request: Request) -> Wire | None:
        """Return the spelling for a request, or None if there is none."""
        key = _kind(request)
        if key not in self._wires:
            self._wires[key] = self._make(resolved, request)
            if len(self._wires) > MOST_WIRES:
                self._wires.popitem(last=False)
        return self._wires[key]

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _post(
        self,
        resolved: ResolvedModel,
        letter: Letter,
        stream: Stream | None,
        heard: FirstToken | None,
    ) -> tuple[int, Any, bytes]:
        if self._session is None:
            self._session = _session()
        try:
            url = URL(letter.url, encoded=letter.url_is_final)
        except ValueError as error:
            raise unusable_url(resolved.source, letter.url, error) from error
        try:
            async with self._session.post(
                url,
                data=letter.body,
                headers=letter.headers,
                allow_redirects=False,
            ) as response:
                if stream is not None and heard is not None and _is_stream(response):
                    raw = await _gathered(resolved, response, stream, heard)
                    return response.status, response.headers, raw
                limit = LARGEST_REPLY if response.status == 200 else LARGEST_ERROR
                raw = await _read(response, limit)
                if len(raw) > limit and response.status == 200:
                    raise unreadable(resolved.source, f"more than {limit} bytes")
                return response.status, response.headers, raw[:limit]
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            raise connection_lost(resolved.source, error) from error

    def _make(self, resolved: ResolvedModel, request: Request) -> Wire | None:
        try:
            self._check(resolved, request)
            return make_wire(self._litellm, resolved, request)
        except Unproven as error:
            reason = str(error)
        except Exception as error:  # LiteLLM's internals are not as tested
            reason = f"self-check failed: {type(error).__name__}: {error}"
        if resolved.model not in self.reasons:
            self.reasons[resolved.model] = reason
            if self._notice is not None and resolved.settings.stream:
                self._notice(f"{resolved.model} is not streamed, but asked by LiteLLM: {reason}")
            elif self._notice is not None and resolved.provider in FAST:
                self._notice(f"{resolved.model} is asked through LiteLLM's slower call: {reason}")
        return None

    def _check(self, resolved: ResolvedModel, request: Request) -> None:
        """Look for anything that makes LiteLLM send something else than we would.

        Raises:
            Unproven: There is such a thing.
        """
        if resolved.provider not in FAST:
            raise Unproven(f"provider {resolved.provider} has no fast lane")
        if not is_tested_version():
            version = ".".join(map(str, litellm_version()))
            raise Unproven(f"litellm {version} is not a version it was tested with")
        odd = set(resolved.settings.extra) - _KNOWN_EXTRA
        if odd:
            raise Unproven(f"extra parameters {', '.join(sorted(odd))}")
        lasts = resolved.provider == "bedrock" and has_lasting_aws_key()
        if resolved.key is None and not lasts:
            raise Unproven("LiteLLM finds the credentials")
        if resolved.base_url is None and resolved.provider not in _KNOWN_PLACES:
            raise Unproven("LiteLLM finds the base URL")
        if any(getattr(self._litellm, name, None) for name in _GLOBALS):
            raise Unproven("the application sets LiteLLM's globals")
        if getattr(self._litellm, "ssl_verify", True) is not True:
            raise Unproven("the application sets how LiteLLM verifies TLS")
        if any(os.environ.get(name) for name in _VARIABLES):
            raise Unproven("the environment sets LiteLLM's or the SDK's options")
        if resolved.provider in HANDLER_WIRE and litellm_version() < HANDLERS_TESTED_FROM:
            raise Unproven("this version's handlers are not as tested")
        _check_endpoint(self._litellm, resolved, request)


def _kind(request: Request) -> Hashable:
    """Return what requests of one spelling have in common: all but the messages and the seed."""
    schemas = [[tool.name, tool.description, dict(tool.arguments)] for tool in request.tools]
    if request.json_schema is not None:
        schemas.append([dict(request.json_schema)])
    return (
        request.model,
        request.max_tokens,
        request.temperature,
        request.seed is None,
        request.stop,
        request.tool_choice,
        len(request.tools),
        # microseconds, where hashing by identity would miss equal tools that were built anew
        _spell(schemas) if schemas else b"",
    )


def _spell(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # lone surrogates, mappings that are no dict
        return json.dumps(value, default=dict).encode()


def _check_endpoint(litellm: Any, resolved: ResolvedModel, request: Request) -> None:
    """Some models of OpenAI are asked at another endpoint: let LiteLLM do so."""
    if resolved.provider != "openai":
        return
    check: Any = importlib.import_module("litellm.main").responses_api_bridge_check
    given = {
        "model": resolved.name,
        "custom_llm_provider": resolved.provider,
        "tools": chat_tools(request.tools) or None,
        "reasoning_effort": resolved.settings.extra.get("reasoning_effort"),
        "api_base": resolved.base_url,
    }
    known = inspect.signature(check).parameters  # older versions look at less
    info, _ = check(**{name: value for name, value in given.items() if name in known})
    if info.get("mode") == "responses":
        raise Unproven("asked at OpenAI's responses endpoint")


def _import_boto3() -> None:
    with suppress(ImportError):  # an optional part: without it LiteLLM says what is missing
        importlib.import_module("boto3")


def _session() -> aiohttp.ClientSession:
    from urllib.request import getproxies_environment

    return aiohttp.ClientSession(
        # how much is in flight is the limiter's to say
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
        # the whole call has a deadline, set around it
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        # looking for a proxy costs aiohttp two thread hops a call, half of its whole price
        trust_env=bool(getproxies_environment()),
        read_bufsize=2**18,
    )


def _is_stream(response: aiohttp.ClientResponse) -> bool:
    """Whether a reply comes in pieces: some servers know no streams, and send it at once."""
    return response.status == 200 and response.content_type == "text/event-stream"


async def _gathered(
    resolved: ResolvedModel, response: aiohttp.ClientResponse, stream: Stream, heard: FirstToken
) -> bytes:
    """Return the body that the pieces make.

    Raises:
        ModelError: They make none. It may have been billed for: the provider had begun.
    """
    source = resolved.source
    try:
        return _spell(await gather(response, stream, heard, limit=LARGEST_STREAM))
    except StreamFailed as failed:
        error = from_status(source, failed.status, failed.text, response.headers)
        error.billed = True
        raise error from failed
    except StreamTooLong as error:
        raise unreadable(source, f"more than {LARGEST_STREAM} bytes") from error
    except ValueError as error:
        raise unreadable(source, f"in its stream: {error}") from error


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body, but not much more than `limit` of it."""
    chunks: list[bytes] = []
    size = 0
    while size <= limit:
        chunk = await response.content.readany()
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)
