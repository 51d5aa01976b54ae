"""Encode each phrase once."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

from sam3model.errors import InputError
from sam3model.structures import TextTokens
from sam3model.text.tokenizer import Tokenizer, clean
from sam3model.untrusted import clean_line

CACHED_PHRASES = 1024


class EncodesText(Protocol):
    """A model that encodes phrases."""

    def encode_text(self, ids: Tensor) -> TextTokens:
        """Token ids (P, T) -> text tokens."""
        ...


class PhraseCache:
    """Text tokens of the last `CACHED_PHRASES` phrases of a model, with T tokens each. Threads may share it."""

    def __init__(self, model: EncodesText, context_length: int) -> None:
        self._model = model
        self._tokenizer = Tokenizer(context_length)
        self._texts: OrderedDict[str, TextTokens] = OrderedDict()
        self._lock = Lock()

    def unread_words(self, phrase: str) -> tuple[str, ...]:
        """The words at the end of a phrase that do not fit into the text window, wholly or in part."""
        words, room = clean(phrase).split(), self._tokenizer.context_length - 2
        for number, word in enumerate(words):
            room -= len(self._tokenizer.encode(word))
            if room < 0:
                return tuple(words[number:])
        return ()

    def __call__(self, phrases: Sequence[str], device: torch.device) -> TextTokens:
        """Text tokens (P, T, D) of phrases. Raises `InputError` for an empty phrase, or one that is no text."""
        for phrase in phrases:
            if not isinstance(phrase, str):
                raise InputError(f"a phrase must be text, not {type(phrase).__name__}")
        if any(not clean_line(phrase) for phrase in phrases):
            raise InputError("a phrase is empty: give a short noun phrase, e.g. 'red ball'")
        with self._lock:
            new = list(dict.fromkeys(phrase for phrase in phrases if phrase not in self._texts))
            if new:
                encoded = self._model.encode_text(self._tokenizer(new).to(device))
                for i, phrase in enumerate(new):
                    self._texts[phrase] = TextTokens(encoded.tokens[i], encoded.mask[i])
            chosen = [self._texts[phrase] for phrase in phrases]
            for phrase in phrases:
                self._texts.move_to_end(phrase)
            while len(self._texts) > CACHED_PHRASES:
                self._texts.popitem(last=False)
        return TextTokens(torch.stack([text.tokens for text in chosen]), torch.stack([text.mask for text in chosen]))
