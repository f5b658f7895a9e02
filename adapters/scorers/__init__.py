"""Scorers: judge an answer against its target."""
