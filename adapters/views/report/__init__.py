"""The HTML report of a run: one file, no script, nothing loaded from anywhere."""

from .render import render_report

__all__ = ["render_report"]
