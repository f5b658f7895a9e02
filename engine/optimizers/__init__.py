"""Optimizers: one algorithm, one file.

    functions    Algorithm 1 of AgentOptimizer: edits the agent's functions, one action per call
    preflight    runs a proposed function in the sandbox before any episode is paid for

and what they are made of: `actions` (the tools an optimizer's model is offered), `history` (what
it reads of the episodes), `prompt` (how that fits its window), `ledger` (how functions did).
"""
