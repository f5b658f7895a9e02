"""Optimizers: one algorithm, one file.

    functions       Algorithm 1 of AgentOptimizer: edits the agent's functions, one action per call
    demonstrations  arXiv 2411.19547 without weights: the best trajectories become worked examples
    instructions    a model writes the agent's instructions anew from scores and reasons
    craft           the CRAFT baseline: a tool set made once, out of solved tasks

and what the first is made of: `dialogue` (its requests, within the model's window), `prompt`,
`history` and `blocks` (what they say), `actions` (the tools they offer), `ledger` (how functions
did) and `preflight` (a proposed function is run before any episode is paid for).
"""
