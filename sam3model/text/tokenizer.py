"""CLIP's byte-pair tokenizer (arXiv 2103.00020), identical to the official one."""

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
MERGES = 48894  # the file lists more merges, which are not part of the vocabulary
WORDS = regex.compile(rf"{START}|{END}|'s|'t|'re|'ve|'m|'ll|'d|\p{{L}}+|\p{{N}}|[^\s\p{{L}}\p{{N}}]+", regex.IGNORECASE)


class Tokenizer:
    """Text to token ids: text is cleaned and split into words, and each word into byte pairs."""

    def __init__(self, context_length: int = 77) -> None:
        self.context_length = context_length
        _, self._ids = _vocabulary()
        self.start_id, self.end_id = self._ids[START], self._ids[END]

    def __len__(self) -> int:
        """Size of the vocabulary, including the two special tokens."""
        return len(self._ids)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without start, end and padding; special tokens in the text become their ids."""
        return [token for word in WORDS.findall(clean(text)) for token in _word_ids(word)]

    def __call__(self, texts: str | Sequence[str], context_length: int | None = None) -> Tensor:
        """One or more texts -> ids (P, context_length) int64: start, tokens, end, zeros.

        Texts that are too long are truncated, and still end with the end token.

        Raises:
            InputError: the context length is below 2.
        """
        length = self.context_length if context_length is None else context_length
        if length < 2:
            raise InputError(f"a context length of {length} has no room for the start and end tokens")
        texts = [texts] if isinstance(texts, str) else texts
        out = torch.full((len(texts), length), PAD_ID, dtype=torch.long)
        for row, text in zip(out, texts, strict=True):
            ids = [self.start_id, *self.encode(text)[: length - 2], self.end_id]
            row[: len(ids)] = torch.tensor(ids)
        return out


def clean(text: str) -> str:
    """Fix encoding errors, unescape HTML (twice, as in training), collapse white space, and lowercase."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def trim(ids: Tensor, end_id: int) -> Tensor:
    """Drop columns after the last end token, (P, T) -> (P, T'); outputs of a causal encoder stay the same."""
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
    """Merge all pairs of the lowest rank, again and again, until no known pair is left."""
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
    """A printable character for every byte, in vocabulary order: itself if printable, else one from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(rest)}


@cache
def _vocabulary() -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """Rank of each merge and id of each symbol: bytes, bytes that end a word, merges, special tokens."""
    with gzip.open(asset(VOCABULARY), "rt", encoding="utf-8") as lines:
        next(lines)  # version
        merges = [
            (left, right) for left, right in (line.split() for line, _ in zip(lines, range(MERGES), strict=False))
        ]
    letters = list(_byte_alphabet().values())
    symbols = [*letters, *(letter + WORD_END for letter in letters), *map("".join, merges), START, END]
    return {pair: rank for rank, pair in enumerate(merges)}, {symbol: i for i, symbol in enumerate(symbols)}
