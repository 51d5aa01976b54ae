"""What the records of a trace must contain to be replayed: a trace is a file from outside, and may be damaged."""

from dataclasses import fields
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from sam3agent.agent.policy import Policy
from sam3agent.mllm.base import Finish
from sam3agent.pool import Verdict
from sam3agent.states import Status
from sam3model.errors import InputError
from sam3model.parse import first_fault

Count = Annotated[int, Field(ge=0, le=1 << 40)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Score = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=1, le=1 << 20)]


class _Record(BaseModel):
    """Other fields are allowed: later versions may add some."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    event: str
    t: Seconds


_Policy = create_model(  # pyright: ignore[reportCallIssue]
    "_Policy",
    __config__=ConfigDict(strict=True, allow_inf_nan=False),
    **{field.name: (field.type, field.default) for field in fields(Policy)},  # pyright: ignore[reportArgumentType]
)
"""The fields of a policy, each of its type."""


class _Start(_Record):
    query: str
    image: str
    clip: str | None = None
    width: Side
    height: Side
    weights: str
    backend: str
    threshold: Score | None
    budget: tuple[Count, Count, Seconds] = Field(strict=False)
    policy: _Policy | None = None  # pyright: ignore[reportInvalidTypeForm]


class _Call(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    arguments: str


class _Reply(_Record):
    candidate: int | None
    text: str
    tool_calls: list[_Call]
    finish: Finish
    usage: list[Count] = Field(max_length=3)
    calls: Count
    warnings: list[str] = []
    not_understood: str = ""
    reasoning: str = ""


class _Shown(BaseModel):
    model_config = ConfigDict(strict=True)

    id: int


class _Search(BaseModel):
    model_config = ConfigDict(strict=True)

    phrase: str
    masks: list[_Shown]


class _ToolData(BaseModel):
    model_config = ConfigDict(strict=True)

    searches: list[_Search] = []


class _Found(BaseModel):
    model_config = ConfigDict(strict=True)

    id: int
    phrases: list[Annotated[tuple[str, Score], Field(strict=False)]] = Field(min_length=1)
    frames: dict[Annotated[str, Field(pattern="^[0-9]{1,9}$")], dict[str, Any]]


class _Tool(_Record):
    name: str
    arguments: dict[str, Any]
    data: _ToolData
    masks: list[_Found]


class _Finding(_Record):
    id: int
    verdict: Verdict
    reason: str


class _Complaint(_Record):
    text: str


class _FailedLook(_Record):
    ids: list[int]
    text: str


class _SearchedPhrase(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    phrase: str
    found: Count
    best_score: Score | None = None


class _BestRejected(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    phrase: str
    score: Score
    box: list[Count] = Field(min_length=4, max_length=4)
    reason: str
    frame: Count | None = None


class _End(_Record):
    status: Status
    reason: str
    ids: list[int]
    mllm_calls: Count
    segmenter_calls: Count
    elapsed_s: Seconds
    steps: Count = 0
    warnings: list[str] = []
    confidence: Score | None = None
    searched: list[_SearchedPhrase] = []
    best_rejected: _BestRejected | None = None
    looked_below: bool = True


RECORDS: dict[str, type[_Record]] = {
    "start": _Start,
    "reply": _Reply,
    "tool": _Tool,
    "finding": _Finding,
    "complaint": _Complaint,
    "failed_look": _FailedLook,
    "end": _End,
}
"""Events that are replayed; of others only the time is read."""


def check_record(record: dict[str, Any], number: int) -> None:
    """Raise `InputError` if a record of version 1, from this line of a trace, lacks what replaying it needs."""
    event = record.get("event")
    try:
        RECORDS.get(event if isinstance(event, str) else "", _Record).model_validate(record)
    except ValidationError as error:
        raise InputError(f"line {number} of the trace: {event}.{first_fault(error)}") from error
