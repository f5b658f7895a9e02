"""`python -m funcforge`."""

from .adapters.cli import main

main()
