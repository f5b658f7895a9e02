"""Agents: what turns a task and a parameters version into an answer."""
