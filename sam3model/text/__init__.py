"""The tokenizer and the text encoder."""

from sam3model.text.encoder import VETextEncoder
from sam3model.text.phrase_cache import PhraseCache
from sam3model.text.tokenizer import Tokenizer, trim

__all__ = ["PhraseCache", "Tokenizer", "VETextEncoder", "trim"]
