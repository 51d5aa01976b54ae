"""From a text to the tokens that the grammar reads."""

import re
import unicodedata

from sam3agent.rules.lexicon import AXES, BORROWED, FOREIGN, SIDES
from sam3model.errors import Sam3Error

MAX_TOKENS = 60
"""Maximum number of words of a question."""

_CONTRACTIONS = (
    (r"\bcan't\b", "can not"), (r"\bwon't\b", "will not"), (r"n't\b", " not"), (r"\bi'd\b", "i would"),
    (r"\bi'm\b", "i am"), (r"\blet's\b", "let us"), (r"\b(what|who|where|that|there|which|how)'s\b", r"\1 is"),
    (r"\b(what|who|where|that|there|which|they|you)'re\b", r"\1 are"), (r"\b(arent|isnt|dont|doesnt)\b", r"\1"),
)  # fmt: skip
_SPELLINGS = (
    (r"\b(?:no\.|nr\.|#) ?(?=\d)", "number "), (r"#(?=\d)", "number "),
    (r"\bcenter\b", "centre"), (r"\b(?:gray)\b", "grey"), (r"\bnon[- ](?=\w)", "not "),
    (r"\b(left|right|top|bottom|upper|lower)[ -]most\b", r"\1most"),
    (r"\bmost (left|right|top|bottom)\b", r"\1most"), (r"\b(left|right)[ -]hand (?=\w)", r"\1 "),
    (r"\b(left|right)[ -](?=(?:side|half|edge|corner|end|part)\b)", r"\1 "),
    (r"\b(top|bottom|upper|lower)-(left|right)\b", r"\1 \2"), (r"\barent\b", "are not"), (r"\bisnt\b", "is not"),
    (r"\bdont\b", "do not"), (r"\bdoesnt\b", "does not"), (r"\bfootball players?\b", "player"),
)  # fmt: skip


class NotRead(Sam3Error):  # noqa: N818 (control flow, not an error)
    """A question, or a part of it, that the grammar does not read; the message says which, and what to do."""


def read_tokens(query: str) -> list[str]:
    """The words of a question in lower case, commas, and "." between sentences.

    Raises:
        NotRead: the text is not English, has no words, or is too long.
    """
    text = unicodedata.normalize("NFKC", query).lower().translate({0x2019: "'", 0x2018: "'", 0x2BC: "'"})
    _require_english(text)
    if negative := re.search(r"(?<![^\s(])-\d\S*", text):
        raise NotRead(f'"{negative.group()[:20]}" was not understood')
    text = text.replace("&", " and ")
    for pattern, plain in (*_CONTRACTIONS, *_SPELLINGS):
        text = re.sub(pattern, plain, text)
    tokens = re.findall(r"[^\W_]+(?:['-][^\W_]+)*|,|[.;:!?]+|[^\s\w,.;:!?\"'“”„«»`´*-]", text)
    while tokens and not tokens[-1][0].isalnum():
        tokens.pop()
    if not any(token[0].isalnum() for token in tokens):
        raise NotRead("the question has no words")
    if len(tokens) > MAX_TOKENS:
        raise NotRead(f"the question has {len(tokens)} words; the built-in rules read at most {MAX_TOKENS}")
    tokens = [part for token in tokens for part in _parts(token)]
    return ["." if re.fullmatch(r"[.;:!?]+", token) else token for token in tokens]


def _parts(token: str) -> list[str]:
    """The parts of "leftmost-player" and "red-and-white"; other words with hyphens are one."""
    parts = token.split("-")
    split = any(part in AXES or part in SIDES or part in ("centre", "and", "or") for part in parts)
    return parts if len(parts) > 1 and split else [token]


def _require_english(text: str) -> None:
    """Refuse other scripts, and texts with many words of other languages."""
    words = re.findall(r"[^\W\d_]+", text)
    if any("LATIN" not in unicodedata.name(letter, "") for word in words for letter in word):
        raise NotRead("the built-in rules read English only")
    foreign = [w for w in words if w not in BORROWED and (w in FOREIGN or not w.isascii())]
    if foreign and 4 * len(foreign) >= len(words):
        raise NotRead(f"the built-in rules read English only, and {_quoted(foreign)} is another language")


def _quoted(words: list[str]) -> str:
    return '"' + " ".join(words[:5])[:60] + '"'
