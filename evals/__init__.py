"""Benchmarks: one command, `python -m evals NAME --root DIR`, from a data set to the figures of the field."""
