"""Types that the arguments of several tools share."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints


def _one_line(value: Any) -> Any:
    """Text from a model goes into prompts, files and terminals: no line breaks, control characters or surrogates."""
    if not isinstance(value, str):
        return value
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", " ", value).split())


def without_duplicates(values: list) -> list:
    """The values without duplicates, in order."""
    return list(dict.fromkeys(values))


Phrase = Annotated[str, StringConstraints(min_length=1, max_length=120), BeforeValidator(_one_line)]
Reason = Annotated[str, StringConstraints(max_length=2000), BeforeValidator(_one_line)]
MaskId = Annotated[int, Field(ge=1)]
UniqueMaskIds = Annotated[list[MaskId], Field(min_length=1), AfterValidator(without_duplicates)]
