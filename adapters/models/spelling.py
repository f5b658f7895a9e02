"""What every wire shares: the letter it writes, and LiteLLM's own mapping of parameters."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from ...engine.messages import Message, Request, ToolCall
from .chat import chat_messages, chat_parameters
from .resolution import ResolvedModel

if TYPE_CHECKING:
    from .streams import Stream

SEED = 987_654_321  # stands for the seed in a spelling
STREAM_OPTIONS = {"include_usage": True}  # else OpenAI's wire streams no bill
# LiteLLM's notes to itself: emulated JSON mode, headers that the SDK takes out of the body
_INTERNAL = frozenset({"json_mode", "fake_stream", "extra_headers", "functions_unsupported_model"})


class Unproven(Exception):
    """This request cannot be spelled without LiteLLM's own call. Says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A request, ready to be posted."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    url_is_final: bool = False  # quoted, perhaps signed: it goes out as it stands


class Wire(Protocol):
    """Spells requests of one kind, and reads the replies to them."""

    def write(self, request: Request) -> Letter: ...

    def read(self, raw: bytes) -> Any:
        """Return the chat completion in OpenAI's form, unchecked.

        Raises:
            ValueError: It is no JSON.
        """
        ...

    def stream(self) -> Stream | None:
        """Return what puts a streamed reply together, to the body that `read` takes.

        None: the provider is asked for whole replies.
        """
        ...


class Spelling:
    """LiteLLM's own functions, bound to one model and one kind of request.

    Args:
        base_url: Where the provider is; None: LiteLLM's mapping knows.
        streams: Whether the reply is asked for piece by piece.

    Raises:
        Unproven: LiteLLM has no mapping for the provider.
    """

    def __init__(
        self,
        litellm: Any,
        resolved: ResolvedModel,
        request: Request,
        base_url: str | None,
        *,
        streams: bool,
    ) -> None:
        from litellm.utils import ProviderConfigManager

        self.litellm = litellm
        self.resolved = resolved
        self.base_url = base_url
        self.litellm_params = {"custom_llm_provider": resolved.provider, "api_base": base_url}
        self.config: Any = ProviderConfigManager.get_provider_chat_config(
            model=resolved.name, provider=litellm.LlmProviders(resolved.provider)
        )
        if self.config is None:
            raise Unproven("LiteLLM has no mapping for this provider")
        parameters = chat_parameters(request) | dict(resolved.settings.extra)
        if "seed" in parameters:
            parameters["seed"] = SEED
        self.streams = streams
        if self.streams:
            parameters["stream_options"] = dict(STREAM_OPTIONS)
        self.parameters: dict[str, Any] = litellm.utils.get_optional_params(
            model=resolved.name,
            custom_llm_provider=resolved.provider,
            drop_params=True,
            stream=self.streams or None,
            **copy.deepcopy(parameters),
        )
        self.parameters.pop("max_retries", None)

    def headers(self) -> dict[str, str]:
        """Return the headers as LiteLLM's mapping sets them."""
        found: dict[str, str] = self.config.validate_environment(
            headers={},
            model=self.resolved.name,
            messages=sample(),
            optional_params=dict(self.parameters),
            litellm_params=dict(self.litellm_params),
            api_key=self.resolved.key,
            api_base=self.base_url,
        )
        return {str(name): str(value) for name, value in found.items()}

    def url(self) -> str:
        """Return the URL as LiteLLM's mapping puts it together."""
        found: str = self.config.get_complete_url(
            api_base=self.base_url,
            api_key=self.resolved.key,
            model=self.resolved.name,
            optional_params=dict(self.parameters),
            litellm_params=dict(self.litellm_params),
            stream=self.streams,
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

    def understand(self, raw: bytes, **given: Any) -> Any:
        """Let LiteLLM read the body of a reply; return its reply object."""
        import httpx

        return self.config.transform_response(
            model=self.resolved.name,
            raw_response=httpx.Response(200, content=raw),
            model_response=self.litellm.ModelResponse(),
            logging_obj=Silence(),
            **{
                "request_data": {},
                "messages": [],
                "optional_params": {},
                "litellm_params": {},
                "encoding": None,
                "api_key": None,
            }
            | given,
        )


class Silence:
    """Stands where LiteLLM wants its log."""

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        self.model_call_details: dict[str, Any] = {}
        self.optional_params: dict[str, Any] = dict(parameters or {})

    def pre_call(self, *_: Any, **__: Any) -> None:
        """Log nothing."""

    def post_call(self, *_: Any, **__: Any) -> None:
        """Log nothing."""


def decode(raw: bytes) -> Any:
    """Read JSON, also what orjson refuses.

    Raises:
        ValueError: It is none.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        # orjson refuses what json takes: lone surrogates, NaN, integers beyond 64 bits
        try:
            return json.loads(raw)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


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


def sample() -> list[dict[str, Any]]:
    """Return a conversation with every shape of message that we send."""
    return chat_messages(Request(model="", messages=tuple(_SAMPLE)))
