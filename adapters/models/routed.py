"""One door to all models: most through LiteLLM, those in folders here through their workers."""

from __future__ import annotations

from collections.abc import Mapping

from ...engine.messages import Reply, Request
from ...engine.ports import Model, ModelFacts


class RoutedModels:
    """A `Model` that hands each request on by the first part of the model's name."""

    def __init__(self, default: Model, routes: Mapping[str, Model]) -> None:
        self._default = default
        self._routes = dict(routes)

    def describe(self, model: str) -> ModelFacts:
        """Return what is known about `model`."""
        return self._of(model).describe(model)

    async def complete(self, request: Request) -> Reply:
        """Ask once."""
        return await self._of(request.model).complete(request)

    def _of(self, model: str) -> Model:
        return self._routes.get(model.partition("/")[0], self._default)
