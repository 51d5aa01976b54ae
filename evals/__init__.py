"""Benchmarks: `python -m evals NAME --root DIR` runs one on its data set and prints its standard figures."""
