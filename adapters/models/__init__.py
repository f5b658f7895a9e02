"""Models: LiteLLM and what speaks its protocol."""
