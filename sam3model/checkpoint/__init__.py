"""Weights in and out: our own layout, the official `sam3.pt`, and transformers'; strict in both directions."""

from sam3model.checkpoint.hub import find_weights
from sam3model.checkpoint.layouts import Layout
from sam3model.checkpoint.load import LoadReport, load, load_with_report
from sam3model.checkpoint.save import save_native, save_official, save_transformers

__all__ = [
    "Layout",
    "LoadReport",
    "find_weights",
    "load",
    "load_with_report",
    "save_native",
    "save_official",
    "save_transformers",
]
