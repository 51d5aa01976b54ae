"""CLIP's byte-pair tokenizer (arXiv 2103.00020), equal to the official one token for token."""

import gzip
import html
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise

import ftfy
import regex
import torch
from torch import Tensor

from sam3model.errors import InputError
from sam3model.resources import VOCABULARY, asset

START, END = "<start_of_text>", "<end_of_text>"
PAD_ID = 0
WORD_END = "</w>"
MERGES = 48894  # the first merges of the file; the rest was never part of the vocabulary
WORDS = regex.compile(rf"{START}|{END}|'s|'t|'re|'ve|'m|'ll|'d|\p{{L}}+|\p{{N}}|[^\s\p{{L}}\p{{N}}]+", regex.IGNORECASE)


class Tokenizer:
    """Text to token ids: repaired (ftfy), unescaped, lowercased, split into words, each word merged by byte pairs."""

    def __init__(self, context_length: int = 77) -> None:
        self.context_length = context_length
        _, self._ids = _vocabulary()
        self.start_id, self.end_id = self._ids[START], self._ids[END]

    def __len__(self) -> int:
        """Entries of the vocabulary, the two special ones included."""
        return len(self._ids)

    def encode(self, text: str) -> list[int]:
        """Ids of a text without start, end and padding; a literal special token in the text becomes its id."""
        return [token for word in WORDS.findall(clean(text)) for token in _word_ids(word)]

    def __call__(self, texts: str | Sequence[str], context_length: int | None = None) -> Tensor:
        """One text or several -> ids (P, context_length) int64: start, tokens, end, zeros.

        A text that is too long keeps its first tokens, with the end token in the last place.

        Raises:
            InputError: the context has no room for the start and end tokens.
        """
        length = self.context_length if context_length is None else context_length
        if length < 2:
            raise InputError(f"a context of {length} tokens has no room for the start and end tokens")
        texts = [texts] if isinstance(texts, str) else texts
        out = torch.full((len(texts), length), PAD_ID, dtype=torch.long)
        for row, text in zip(out, texts, strict=True):
            ids = [self.start_id, *self.encode(text)[: length - 2], self.end_id]
            row[: len(ids)] = torch.tensor(ids)
        return out


def clean(text: str) -> str:
    """Repair mojibake, undo HTML escapes (twice, as the training data needed), collapse white space, lowercase."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def trim(ids: Tensor, end_id: int) -> Tensor:
    """Drop the columns after the last end token: (P, T) -> (P, T'). A causal encoder gives the rest the same output."""
    last = (ids == end_id).any(dim=0).nonzero().max()
    return ids[:, : int(last) + 1]


@lru_cache(maxsize=8192)
def _word_ids(word: str) -> tuple[int, ...]:
    ranks, ids = _vocabulary()
    if word in (START, END):
        return (ids[word],)
    symbols = [_byte_alphabet()[byte] for byte in word.encode()]
    symbols[-1] += WORD_END
    return tuple(ids[symbol] for symbol in _merge(symbols, ranks))


def _merge(symbols: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Join the neighbours of the lowest rank, everywhere they occur, until no known pair is left."""
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, MERGES))
        if best not in ranks:
            break
        symbols = _join(symbols, best)
    return symbols


def _join(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    out, i = [], 0
    while i < len(symbols):
        width = 2 if tuple(symbols[i : i + 2]) == pair else 1
        out.append("".join(symbols[i : i + width]))
        i += width
    return out


@cache
def _byte_alphabet() -> dict[int, str]:
    """A printable character for every byte: itself where it prints, else one from 256 on; in vocabulary order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(rest)}


@cache
def _vocabulary() -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """Rank of every merge, and id of every symbol: bytes, bytes that end a word, merges, special tokens."""
    with gzip.open(asset(VOCABULARY), "rt", encoding="utf-8") as lines:
        next(lines)  # version
        merges = [
            (left, right) for left, right in (line.split() for line, _ in zip(lines, range(MERGES), strict=False))
        ]
    letters = list(_byte_alphabet().values())
    symbols = [*letters, *(letter + WORD_END for letter in letters), *map("".join, merges), START, END]
    return {pair: rank for rank, pair in enumerate(merges)}, {symbol: i for i, symbol in enumerate(symbols)}
