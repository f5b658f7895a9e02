"""How the fast lane spells requests and reads replies: what LiteLLM says, found out once.

A spelling is made by LiteLLM's own mapping for each kind of request (same model, tools, limits).
On OpenAI's wire only the messages and the seed then change from call to call. Most providers take
messages as they are: that is found out for each spelling by translating a sample conversation
with LiteLLM and comparing. For the others, and on Anthropic's wire, LiteLLM translates each one.
Gemini's and Bedrock's are in `handlers.py`.
"""

from __future__ import annotations

import importlib
import os
import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson

from ...engine.messages import Request
from .acompletion import plain
from .chat import chat_messages
from .handlers import HANDLER_WIRE, make_handler_wire
from .resolution import ResolvedModel
from .spelling import SEED, Letter, Spelling, Unproven, Wire, decode, sample
from .streams import ChatStream, MessageStream, Stream

# each was compared with acompletion, request by request and reply by reply (see its golden test)
OPENAI_WIRE = frozenset(
    {"openai", "custom_openai", "azure", "hosted_vllm", "lm_studio", "llamafile", "groq"}
    | {"together_ai", "deepseek", "mistral", "openrouter", "xai", "cerebras"}
    | {"deepinfra", "nvidia_nim", "sambanova", "fireworks_ai", "litellm_proxy", "github"}
    | {"moonshot", "dashscope", "volcengine", "zai", "minimax", "novita", "hyperbolic"}
    | {"nebius", "lambda_ai", "baseten", "friendliai", "meta_llama", "vercel_ai_gateway"}
)
ANTHROPIC_WIRE = frozenset({"anthropic"})

FAST = OPENAI_WIRE | ANTHROPIC_WIRE | HANDLER_WIRE

_ANTHROPIC_URL = "https://api.anthropic.com"
_OWN_URLS = {"openai": "https://api.openai.com/v1"}  # of the others LiteLLM knows it
_AS_THEY_COME = frozenset(
    {"groq", "fireworks_ai"}
)  # LiteLLM does not look for reasoning in these replies
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_PLAIN_FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter"})


def make_wire(litellm: Any, resolved: ResolvedModel, request: Request) -> Wire:
    """Make the spelling for requests like this one.

    Raises:
        Unproven: There is none that surely equals LiteLLM's.
    """
    spell = partial(Spelling, litellm, resolved, request, streams=resolved.settings.stream)
    if resolved.provider in HANDLER_WIRE:
        return make_handler_wire(spell(resolved.base_url, streams=False))
    if resolved.provider in ANTHROPIC_WIRE:
        return _AnthropicWire(spell(resolved.base_url or _ANTHROPIC_URL))
    return _OpenAIWire(spell(resolved.base_url or _OWN_URLS.get(resolved.provider)))


class _OpenAIWire:
    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        if spelling.resolved.provider == "azure":  # LiteLLM leaves these two to OpenAI's SDK
            self._url, self._headers = _azure(spelling)
        else:
            self._url, self._headers = spelling.url(), spelling.headers()
        body = spelling.flat(sample())
        messages = body.pop("messages", None)
        if not isinstance(messages, list) or not isinstance(body.get("model"), str):
            raise Unproven("LiteLLM's translation has no messages or no model")
        # the provider's name for the seed (Mistral has another); None: it takes none
        self._seed = next((name for name, value in body.items() if value == SEED), None)
        if self._seed is not None:
            del body[self._seed]
        if str(SEED).encode() in orjson.dumps(body):
            raise Unproven("the seed is not where it should be")
        # all but the messages and the seed is spelled once, where messages need no translation
        is_plain = orjson.dumps(messages) == orjson.dumps(sample())
        self._tail = orjson.dumps(body)[1:] if is_plain else None

    def write(self, request: Request) -> Letter:
        messages = chat_messages(request)
        if self._tail is None:
            whole = self._spelling.flat(messages)
            if self._seed is not None:
                whole[self._seed] = request.seed
            body = orjson.dumps(whole)
        else:
            body = b'{"messages":' + orjson.dumps(messages) + b","
            if self._seed is not None:
                body += orjson.dumps({self._seed: request.seed})[1:-1] + b","
            body += self._tail
        return Letter(url=self._url, headers=self._headers, body=body)

    def read(self, raw: bytes) -> Any:
        body = decode(raw)
        if _is_plain(body) or self._spelling.resolved.provider in _AS_THEY_COME:
            return body
        return self._convert(body)

    def stream(self) -> Stream:
        return ChatStream()

    def _convert(self, body: Any) -> Any:
        """Let LiteLLM read a reply that is not in the plain form, e.g. with inline reasoning."""
        convert = importlib.import_module("litellm.utils").convert_to_model_response_object

        if not isinstance(body, dict):
            return body
        try:
            return plain(
                convert(
                    response_object=body,
                    model_response_object=self._spelling.litellm.ModelResponse(),
                )
            )
        except Exception:  # what it cannot read either is judged as it is
            return body


class _AnthropicWire:
    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._url = _anthropic_url(spelling.base_url or _ANTHROPIC_URL)
        self._headers = spelling.headers()
        self._json_mode = bool(spelling.parameters.pop("json_mode", False))
        if spelling.parameters.get("extra_headers"):
            raise Unproven("extra headers are set")

    def write(self, request: Request) -> Letter:
        headers = dict(self._headers)
        messages = chat_messages(request, marks=self._spelling.resolved.takes_marks)
        body = self._spelling.translate(messages, headers)
        return Letter(url=self._url, headers=headers, body=orjson.dumps(body))

    def read(self, raw: bytes) -> Any:
        body = decode(raw)
        if not isinstance(body, dict) or not isinstance(body.get("content"), list):
            return body
        return plain(self._spelling.understand(raw, json_mode=self._json_mode))

    def stream(self) -> Stream:
        return MessageStream()


def _anthropic_url(base_url: str) -> str:
    # LiteLLM puts this together outside of its mapping
    if base_url.endswith("/v1/messages"):
        return base_url
    return f"{base_url}/v1/messages" if not base_url.endswith("/") else f"{base_url}v1/messages"


def _azure(spelling: Spelling) -> tuple[str, dict[str, str]]:
    """Return the URL and headers of a plain deployment, asked with a key.

    Raises:
        Unproven: The base URL or the API version is of another kind.
    """
    base = spelling.base_url or ""
    named: str | None = getattr(spelling.litellm, "api_version", None)
    version = named or os.environ.get("AZURE_API_VERSION")
    version = version or spelling.litellm.AZURE_DEFAULT_API_VERSION
    if urlsplit(base).path.strip("/") or not _DATED.fullmatch(version):
        raise Unproven("only Azure's deployments with a dated API version have a fast lane")
    name = spelling.resolved.name
    if "/" in name:  # routes of LiteLLM's own, such as o_series/
        raise Unproven(f"Azure's route {name} has no fast lane")
    url = f"{base.rstrip('/')}/openai/deployments/{name}/chat/completions?api-version={version}"
    return url, {"content-type": "application/json", "api-key": spelling.resolved.key or ""}


def _is_plain(body: Any) -> bool:
    """Whether a reply needs no translation: checked on every one, as servers differ."""
    try:
        choice = body["choices"][0]
        message = choice["message"]
        content = message.get("content")
        # `<think>` is how some servers mix the reasoning into the text
        return (
            choice["finish_reason"] in _PLAIN_FINISHES
            and (content is None or (isinstance(content, str) and "<think" not in content[:32]))
            and message.get("function_call") is None
            and "error" not in body
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        return False
