"""The HTML page of a comparison: one file, no network."""

from .render import render_page

__all__ = ["render_page"]
