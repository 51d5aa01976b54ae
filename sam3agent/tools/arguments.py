"""Types that the arguments of several tools share. Values are read by `sam3agent.tools.reading`."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from sam3agent.tools.reading import phrases, sentence, whole_number, whole_numbers
from sam3model.untrusted import clean_line

MAX_REASON = 2000
MAX_PHRASE = 120
"""Maximum length of a phrase in characters."""


def _one_line(value: Any) -> Any:
    """Text from a model goes into prompts, files and terminals: no line breaks, control characters or surrogates."""
    return clean_line(value) if isinstance(value, str) else value


def _remark(value: Any) -> str:
    return clean_line(sentence(value), MAX_REASON)


def without_duplicates(values: list) -> list:
    """The values without duplicates, in order."""
    return list(dict.fromkeys(values))


Phrase = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PHRASE), BeforeValidator(_one_line)]
Phrases = Annotated[list[Phrase], AfterValidator(without_duplicates), BeforeValidator(phrases)]
Reason = Annotated[str, StringConstraints(max_length=MAX_REASON), BeforeValidator(_remark)]
MaskId = Annotated[int, Field(ge=1)]
OneMaskId = Annotated[MaskId | None, BeforeValidator(whole_number)]
MaskIds = Annotated[list[MaskId], AfterValidator(without_duplicates), BeforeValidator(whole_numbers)]
FrameNumber = Annotated[int, Field(ge=0), BeforeValidator(whole_number)]
UniqueMaskIds = Annotated[MaskIds, Field(min_length=1)]
