"""funcforge trains LLM agents without touching model weights: it learns the agent's functions."""

__version__ = "0.1.0"
