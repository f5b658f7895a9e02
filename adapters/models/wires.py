"""How the fast lane spells requests and reads replies: what LiteLLM says, found out once.

A spelling is made by LiteLLM's own mapping for each kind of request (same model, tools, limits).
On OpenAI's wire only the messages and the seed then change from call to call. Most providers take
messages as they are: that is found out for each spelling by translating a sample conversation
with LiteLLM and comparing. For the others, and on Anthropic's wire, LiteLLM translates each one.
"""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from ...engine.messages import Message, Request, ToolCall
from .acompletion import plain
from .chat import chat_messages, chat_parameters
from .resolution import ResolvedModel

# each was compared with acompletion, request by request and reply by reply (see its golden test)
OPENAI_WIRE = frozenset(
    {"openai", "custom_openai", "hosted_vllm", "lm_studio", "llamafile", "groq"}
    | {"together_ai", "deepseek", "mistral", "openrouter", "xai", "cerebras"}
    | {"deepinfra", "nvidia_nim", "sambanova"}
)
ANTHROPIC_WIRE = frozenset({"anthropic"})

_OPENAI_URL = "https://api.openai.com/v1"
_ANTHROPIC_URL = "https://api.anthropic.com"
_AS_THEY_COME = frozenset({"groq"})  # LiteLLM does not look for reasoning in these replies
_PLAIN_FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter"})
# LiteLLM's notes to itself: emulated JSON mode, headers that the SDK takes out of the body
_INTERNAL = frozenset({"json_mode", "fake_stream", "extra_headers", "functions_unsupported_model"})
_SEED = 987_654_321  # stands for the seed in a spelling


class Unproven(Exception):
    """This request cannot be spelled without LiteLLM's own call. Says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A request, ready to be posted."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Wire(Protocol):
    """Spells requests of one kind, and reads the replies to them."""

    def write(self, request: Request) -> Letter: ...

    def read(self, raw: bytes) -> Any:
        """Return the chat completion in OpenAI's form, unchecked.

        Raises:
            ValueError: It is no JSON.
        """
        ...


def make_wire(litellm: Any, resolved: ResolvedModel, request: Request) -> Wire:
    """Make the spelling for requests like this one.

    Raises:
        Unproven: There is none that surely equals LiteLLM's.
    """
    mapping = _Mapping(litellm, resolved, request)
    if resolved.provider in ANTHROPIC_WIRE:
        return _AnthropicWire(mapping)
    return _OpenAIWire(mapping)


class _Mapping:
    """LiteLLM's own functions, bound to one model and one kind of request."""

    def __init__(self, litellm: Any, resolved: ResolvedModel, request: Request) -> None:
        from litellm.utils import ProviderConfigManager

        self.litellm = litellm
        self.resolved = resolved
        default = _ANTHROPIC_URL if resolved.provider in ANTHROPIC_WIRE else _OPENAI_URL
        base: str | None = resolved.base_url
        if base is None and resolved.provider in {"openai", "anthropic"}:
            base = default
        self.base_url = base
        self.litellm_params = {"custom_llm_provider": resolved.provider, "api_base": base}
        self.config: Any = ProviderConfigManager.get_provider_chat_config(
            model=resolved.name, provider=litellm.LlmProviders(resolved.provider)
        )
        if self.config is None:
            raise Unproven("LiteLLM has no mapping for this provider")
        parameters = chat_parameters(request) | dict(resolved.settings.extra)
        if "seed" in parameters:
            parameters["seed"] = _SEED
        self.parameters: dict[str, Any] = litellm.utils.get_optional_params(
            model=resolved.name,
            custom_llm_provider=resolved.provider,
            drop_params=True,
            stream=None,
            **copy.deepcopy(parameters),
        )
        self.parameters.pop("max_retries", None)

    def headers(self) -> dict[str, str]:
        found: dict[str, str] = self.config.validate_environment(
            headers={},
            model=self.resolved.name,
            messages=_sample(),
            optional_params=dict(self.parameters),
            litellm_params=dict(self.litellm_params),
            api_key=self.resolved.key,
            api_base=self.base_url,
        )
        return {str(name): str(value) for name, value in found.items()}

    def url(self) -> str:
        found: str = self.config.get_complete_url(
            api_base=self.base_url,
            api_key=self.resolved.key,
            model=self.resolved.name,
            optional_params=dict(self.parameters),
            litellm_params=dict(self.litellm_params),
            stream=False,
        )
        return found

    def flat(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the whole body as OpenAI's SDK would send it."""
        body = self.translate(messages, {})
        extra = body.pop("extra_body", None)
        odd = _INTERNAL & body.keys()
        if odd:
            raise Unproven(f"LiteLLM acts on {', '.join(sorted(odd))} within its call")
        return body | extra if extra else body

    def translate(self, messages: list[dict[str, Any]], headers: dict[str, str]) -> dict[str, Any]:
        """Return the whole body. `headers` may gain entries."""
        found: dict[str, Any] = self.config.transform_request(
            model=self.resolved.name,
            messages=messages,
            optional_params=copy.deepcopy(self.parameters),
            litellm_params=dict(self.litellm_params),
            headers=headers,
        )
        return found


class _OpenAIWire:
    def __init__(self, mapping: _Mapping) -> None:
        self._mapping = mapping
        self._headers = mapping.headers()
        self._url = mapping.url()
        body = mapping.flat(_sample())
        messages = body.pop("messages", None)
        if not isinstance(messages, list) or not isinstance(body.get("model"), str):
            raise Unproven("LiteLLM's translation has no messages or no model")
        # the provider's name for the seed (Mistral has another); None: it takes none
        self._seed = next((name for name, value in body.items() if value == _SEED), None)
        if self._seed is not None:
            del body[self._seed]
        if str(_SEED).encode() in orjson.dumps(body):
            raise Unproven("the seed is not where it should be")
        # all but the messages and the seed is spelled once, where messages need no translation
        is_plain = orjson.dumps(messages) == orjson.dumps(_sample())
        self._tail = orjson.dumps(body)[1:] if is_plain else None

    def write(self, request: Request) -> Letter:
        messages = chat_messages(request)
        if self._tail is None:
            whole = self._mapping.flat(messages)
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
        body = _decode(raw)
        if _is_plain(body) or self._mapping.resolved.provider in _AS_THEY_COME:
            return body
        return self._convert(body)

    def _convert(self, body: Any) -> Any:
        """Let LiteLLM read a reply that is not in the plain form, e.g. with inline reasoning."""
        convert = importlib.import_module("litellm.utils").convert_to_model_response_object

        if not isinstance(body, dict):
            return body
        try:
            return plain(
                convert(
                    response_object=body,
                    model_response_object=self._mapping.litellm.ModelResponse(),
                )
            )
        except Exception:  # what it cannot read either is judged as it is
            return body


class _AnthropicWire:
    def __init__(self, mapping: _Mapping) -> None:
        self._mapping = mapping
        self._url = _anthropic_url(mapping.base_url or _ANTHROPIC_URL)
        self._headers = mapping.headers()
        self._json_mode = bool(mapping.parameters.pop("json_mode", False))
        if mapping.parameters.get("extra_headers"):
            raise Unproven("extra headers are set")

    def write(self, request: Request) -> Letter:
        headers = dict(self._headers)
        body = self._mapping.translate(chat_messages(request), headers)
        return Letter(url=self._url, headers=headers, body=orjson.dumps(body))

    def read(self, raw: bytes) -> Any:
        import httpx

        body = _decode(raw)
        if not isinstance(body, dict) or not isinstance(body.get("content"), list):
            return body
        mapping = self._mapping
        response = mapping.config.transform_response(
            model=mapping.resolved.name,
            raw_response=httpx.Response(200, content=raw),
            model_response=mapping.litellm.ModelResponse(),
            logging_obj=_Silence(),
            request_data={},
            messages=[],
            optional_params={},
            litellm_params={},
            encoding=None,
            api_key=None,
            json_mode=self._json_mode,
        )
        return plain(response)


def _anthropic_url(base_url: str) -> str:
    # LiteLLM puts this together outside of its mapping
    if base_url.endswith("/v1/messages"):
        return base_url
    return f"{base_url}/v1/messages" if not base_url.endswith("/") else f"{base_url}v1/messages"


class _Silence:
    """Stands where LiteLLM wants its log."""

    def __init__(self) -> None:
        self.model_call_details: dict[str, Any] = {}
        self.optional_params: dict[str, Any] = {}

    def post_call(self, *_: Any, **__: Any) -> None:
        """Log nothing."""


def _decode(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        # orjson refuses what json takes: lone surrogates, NaN, integers beyond 64 bits
        try:
            return json.loads(raw)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


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


_CALLS = (
    ToolCall(id="call_1", name="add", arguments='{"a": 1, "b": 2}'),
    ToolCall(id="call_2", name="add", arguments="{}"),
)
_SAMPLE: Sequence[Message] = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="One, two? \u00e9"),
    Message(role="assistant", content="", tool_calls=_CALLS),
    Message(role="tool", content="3", tool_call_id="call_1"),
    Message(role="tool", content="", tool_call_id="call_2"),
    Message(role="assistant", content="Three."),
    Message(role="user", content="And\nfour?"),
    Message(role="assistant", content="Let me see.", tool_calls=_CALLS[:1]),
    Message(role="tool", content="7", tool_call_id="call_1"),
    Message(role="user", content="So?"),
)


def _sample() -> list[dict[str, Any]]:
    """Return a conversation with every shape of message that we send."""
    return chat_messages(Request(model="", messages=tuple(_SAMPLE)))
