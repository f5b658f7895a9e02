"""The wires of Gemini and Bedrock: LiteLLM's handlers write, with a pen in place of a client.

Their URLs, headers and signatures are put together within LiteLLM's handlers, not in a mapping. So
each request runs through the handler, which is given a client that notes down what it is to send.
"""

from __future__ import annotations

import copy
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from ...engine.messages import Request
from .acompletion import plain
from .chat import chat_messages
from .spelling import SEED, Letter, Silence, Spelling, Unproven, Wire, decode, sample

HANDLER_WIRE = frozenset({"gemini", "bedrock"})
HANDLERS_TESTED_FROM = (1, 90)  # of LiteLLM; before, URLs and routes were others

# with one of these AWS is asked for credentials, which may take a while and expire
_AWS_CHAINS = ("AWS_PROFILE_NAME", "AWS_PROFILE", "AWS_ROLE_NAME", "AWS_WEB_IDENTITY_TOKEN")


def make_handler_wire(spelling: Spelling) -> Wire:
    """Make the spelling for a provider in HANDLER_WIRE.

    Raises:
        Unproven: LiteLLM would do more than to send one request.
    """
    return {"gemini": _gemini, "bedrock": _bedrock}[spelling.resolved.provider](spelling)


def has_lasting_aws_key() -> bool:
    """Whether the environment holds AWS credentials that need nobody to be asked."""
    if any(os.environ.get(name) for name in _AWS_CHAINS):
        return False
    if os.environ.get("AWS_BEARER_TOKEN_BEDROCK"):
        return True
    return bool(os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"))


@dataclass(slots=True)
class _Written(Exception):
    """What a handler was about to send."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class _Pen:
    """Stands where a handler wants its HTTP client."""

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        json: Any = None,
        data: str | bytes | None = None,
        **_: Any,
    ) -> NoReturn:
        """Note the request down; send nothing."""
        if data is None:
            body = orjson.dumps(json)
        else:
            body = data.encode() if isinstance(data, str) else data
        raise _Written(url, {str(k): _text(v) for k, v in headers.items()}, body)


class _HandlerWire:
    """Writes each request with a handler of LiteLLM, and reads with its mapping.

    Args:
        given: What this handler takes beyond what all take.
        answer: The field that a reply has and nothing else has.
        reading: What its mapping wants to know to read.
    """

    def __init__(
        self,
        spelling: Spelling,
        handler: Any,
        given: Mapping[str, Any],
        *,
        answer: str,
        reading: Mapping[str, Any],
    ) -> None:
        self._spelling = spelling
        self._handler = handler
        self._given = given
        self._answer = answer
        self._reading = reading
        # a handler that is not as expected shows before it is needed; calls may need tools
        self._note(sample()[:2], None)

    def write(self, request: Request) -> Letter:
        messages = chat_messages(request, marks=self._spelling.resolved.takes_marks)
        written = self._note(messages, request.seed)
        # the body has one length, and it is aiohttp that says it
        headers = {k: v for k, v in written.headers.items() if k.lower() != "content-length"}
        return Letter(url=written.url, headers=headers, body=written.body, url_is_final=True)

    def read(self, raw: bytes) -> Any:
        body = decode(raw)
        if not isinstance(body, dict) or self._answer not in body:
            return body
        return plain(self._spelling.understand(raw, **copy.deepcopy(dict(self._reading))))

    def stream(self) -> None:
        """Nothing: these replies come whole."""

    def _note(self, messages: list[dict[str, Any]], seed: int | None) -> _Written:
        spelling = self._spelling
        parameters = copy.deepcopy(spelling.parameters)
        for name, value in parameters.items():
            if value == SEED and seed is not None:
                parameters[name] = seed
        try:
            self._handler.completion(
                model=spelling.resolved.name,
                messages=messages,
                model_response=spelling.litellm.ModelResponse(),
                encoding=None,
                logging_obj=Silence(),
                optional_params=parameters,
                acompletion=False,
                timeout=None,
                litellm_params=dict(spelling.litellm_params),
                client=_Pen(),
                api_base=spelling.base_url,
                **self._given,
            )
        except _Written as written:
            return written
        raise Unproven("LiteLLM's handler sends nothing")


def _gemini(spelling: Spelling) -> _HandlerWire:
    module = importlib.import_module(
        "litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini"
    )
    given = {
        "print_verbose": _say_nothing,
        "custom_llm_provider": "gemini",
        "vertex_project": None,
        "vertex_location": None,
        "vertex_credentials": None,
        "gemini_api_key": spelling.resolved.key,
        "extra_headers": {},
    }
    return _HandlerWire(spelling, module.VertexLLM(), given, answer="candidates", reading={})


def _bedrock(spelling: Spelling) -> _HandlerWire:
    common = importlib.import_module("litellm.llms.bedrock.common_utils")
    route = common.BedrockModelInfo.get_bedrock_route(spelling.resolved.name)
    if route != "converse" or spelling.resolved.name.startswith("converse/"):
        raise Unproven(f"Bedrock's route {route} has no fast lane")
    handler = importlib.import_module("litellm.llms.bedrock.chat.converse_handler")
    given: dict[str, Any] = {"custom_prompt_dict": {}, "extra_headers": {}}
    if spelling.resolved.key:
        given["api_key"] = spelling.resolved.key
    reading = {
        "optional_params": spelling.parameters,
        "json_mode": bool(spelling.parameters.get("json_mode")),
    }
    return _HandlerWire(
        spelling, handler.BedrockConverseLLM(), given, answer="output", reading=reading
    )


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _say_nothing(*_: Any, **__: Any) -> None:
    pass
