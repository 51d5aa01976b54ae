"""Benchmarks: `python -m evals NAME --root DIR` goes from a data set to its standard figures."""
