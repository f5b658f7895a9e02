"""Functions as the `tools` list of an OpenAI chat completion; most providers take the same."""

from __future__ import annotations

import json
from typing import Any

from ...engine.functions import Function
from ...engine.parameters import Parameters


def openai_tool(function: Function) -> dict[str, Any]:
    """Return one entry of `tools`."""
    return {
        "type": "function",
        "function": {
            "name": function.name,
            "description": function.description,
            "parameters": dict(function.arguments),
        },
    }


def export_openai(parameters: Parameters) -> str:
    """Return all functions as a JSON list."""
    tools = [openai_tool(function) for function in parameters.functions]
    return json.dumps(tools, indent=2) + "\n"
