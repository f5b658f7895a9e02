"""The models that come with the package, as a LiteLLM provider: they take any model's path.

    embedded/apprentice           solves by the functions it learns, and writes them
    embedded/api-caller           calls APIs as dialogues ask for it, imperfectly
    embedded/critic               judges trajectories by plain rules, imperfectly
    embedded/critic-random        judges by chance        } for measuring what a training does
    embedded/critic-adversarial   prefers what is bad     } with a bad critic
    embedded/critic-yes           finds everything good   }

None of them is a language model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from ...engine.messages import Message, Reply, Request, Tool, ToolCall
from . import api_caller, apprentice, embedded_critic

PROVIDER = "embedded"
_PRICES: Mapping[str, Any] = {
    "litellm_provider": PROVIDER,
    "mode": "chat",
    "input_cost_per_token": 0.0,
    "output_cost_per_token": 0.0,
    "supports_function_calling": True,
}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A program that answers requests. Pure: equal requests, equal replies."""

    reply: Callable[[Request], Reply]
    takes_long: Callable[[Request], bool] = lambda request: False  # answered in a thread


MODELS: Mapping[str, Embedded] = {
    "apprentice": Embedded(apprentice.reply, apprentice.optimizes),
    "api-caller": Embedded(api_caller.reply),
    **{name: Embedded(reply) for name, reply in embedded_critic.CRITICS.items()},
}


def register_embedded(litellm: Any) -> None:
    """Register the provider with LiteLLM. Doing so again changes nothing.

    LiteLLM keeps its providers and prices in tables of the process; this adds entries to each,
    under a name of our own.
    """
    if any(item["provider"] == PROVIDER for item in litellm.custom_provider_map):
        return
    handler = _handler(litellm)
    litellm.custom_provider_map.append({"provider": PROVIDER, "custom_handler": handler})
    # without an entry LiteLLM searches its price map in vain, several times a call
    litellm.register_model({f"{PROVIDER}/{name}": dict(_PRICES) for name in MODELS})
    utils: Any = importlib.import_module("litellm.utils")
    utils.custom_llm_setup()


def _handler(litellm: Any) -> Any:
    from litellm.llms.custom_llm import CustomLLM, CustomLLMError

    class Handler(CustomLLM):
        """Answers chat completions. LiteLLM passes everything by keyword."""

        async def acompletion(self, *_: Any, **given: Any) -> Any:
            model, request = _find(given["model"], CustomLLMError), _request(given)
            # a search takes up to seconds; the event loop goes on meanwhile
            answer = (
                await anyio.to_thread.run_sync(model.reply, request)
                if model.takes_long(request)
                else model.reply(request)
            )
            return _fill(given["model_response"], given["model"], answer, litellm)

        def completion(self, *_: Any, **given: Any) -> Any:
            answer = _find(given["model"], CustomLLMError).reply(_request(given))
            return _fill(given["model_response"], given["model"], answer, litellm)

    return Handler()


def _find(name: str, error: type[Exception]) -> Embedded:
    model = MODELS.get(name)
    if model is None:
        known = ", ".join(f"{PROVIDER}/{one}" for one in MODELS)
        raise error(404, f"there is no model {PROVIDER}/{name}; there are {known}")
    return model


def _request(given: Mapping[str, Any]) -> Request:
    parameters: Mapping[str, Any] = given["optional_params"]
    return Request(
        model=f"{PROVIDER}/{given['model']}",
        messages=tuple(_message(message) for message in given["messages"]),
        tools=tuple(_tool(tool["function"]) for tool in parameters.get("tools") or ()),
        tool_choice="none" if parameters.get("tool_choice") == "none" else "auto",
        temperature=parameters.get("temperature"),
        seed=parameters.get("seed"),
    )


def _message(data: Mapping[str, Any]) -> Message:
    return Message(
        role=data["role"],
        content=_text(data.get("content")),
        tool_calls=tuple(_call(call) for call in data.get("tool_calls") or ()),
        tool_call_id=data.get("tool_call_id"),
    )


def _text(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(str(part.get("text", "")) for part in content)


def _call(data: Mapping[str, Any]) -> ToolCall:
    function = data["function"]
    return ToolCall(id=data["id"], name=function["name"], arguments=function["arguments"])


def _tool(data: Mapping[str, Any]) -> Tool:
    return Tool(
        name=data["name"],
        description=data.get("description") or "",
        arguments=data.get("parameters") or {},
    )


def _fill(response: Any, model: str, answer: Reply, litellm: Any) -> Any:
    """Put the reply into LiteLLM's response object."""
    choice = response.choices[0]
    choice.finish_reason = answer.finish
    choice.message = litellm.Message(
        role="assistant",
        content=answer.message.content or None,
        tool_calls=[
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in answer.message.tool_calls
        ]
        or None,
    )
    response.model = model
    # or LiteLLM works the cost out itself, which takes longer than the call
    response._hidden_params["response_cost"] = 0.0  # noqa: SLF001  (there is no public way)
    response.usage = litellm.Usage(
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        total_tokens=answer.usage.tokens,
    )
    return response
