"""Sandboxes: where code written by a model runs."""
