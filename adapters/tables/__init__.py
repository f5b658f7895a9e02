"""Tables of runs: a grid of settings and seeds, run by one command and written as one page."""
