"""The `rules` backend: a small grammar of questions, applied to what the segmenter returned. No MLLM."""

from sam3agent.rules.backend import RulesBackend

__all__ = ["RulesBackend"]
