"""Sandboxes: where code written by a model runs."""

from .opening import open_sandbox, probe_backends
from .pool import Pool
from .settings import BackendReport, SandboxSettings

__all__ = ["BackendReport", "Pool", "SandboxSettings", "open_sandbox", "probe_backends"]
