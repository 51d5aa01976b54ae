"""A backend without an MLLM: a small honest grammar over what the segmenter returned."""

from sam3agent.rules.backend import RulesBackend

__all__ = ["RulesBackend"]
