"""Metrics of the field: pure functions over arrays and RLE, and small aggregates that update, merge and compute."""

from sam3model.metrics.cgf1 import ConceptF1, evaluate_cgf1
from sam3model.metrics.concept_f1 import ConceptF1Result

__all__ = ["ConceptF1", "ConceptF1Result", "evaluate_cgf1"]
