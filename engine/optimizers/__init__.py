"""Optimizers: one algorithm, one file."""
