"""Video benchmarks: folders of predictions, scored against the official annotations."""

from evals.registry import PredictionBenchmark

BENCHMARKS: tuple[PredictionBenchmark, ...] = ()
