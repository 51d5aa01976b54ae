"""The tokenizer and the text encoder."""

from sam3model.text.encoder import VETextEncoder
from sam3model.text.tokenizer import Tokenizer, trim

__all__ = ["Tokenizer", "VETextEncoder", "trim"]
