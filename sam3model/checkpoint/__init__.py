"""Load and save weights in three layouts: our own, the official checkpoints', and transformers'."""

from sam3model.checkpoint.hub import find_weights
from sam3model.checkpoint.layouts import Layout
from sam3model.checkpoint.load import LoadReport, load, load_with_report, read_config
from sam3model.checkpoint.save import save_native, save_official, save_transformers

__all__ = [
    "Layout",
    "LoadReport",
    "find_weights",
    "load",
    "load_with_report",
    "read_config",
    "save_native",
    "save_official",
    "save_transformers",
]
