"""What the video pipeline keeps about the objects of a clip: small numbers per object, none per frame."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sam3model.video.confirmation import ConfirmationState
from sam3model.video.hotstart import HotstartState

USER_GIVEN = -1
"""Concept of an object that a user gave by clicks, a box or a mask; other concepts are the indices of the phrases."""


@dataclass(frozen=True, slots=True)
class TrackLedger:
    """The objects followed in a clip. An object that is removed leaves no entry but its id in `hotstart.removed`.

    scores: detection score at birth, 1 after user input; its keys are the ids, in order of birth. concepts: index of
    the phrase of each id, or `USER_GIVEN`. last_occluded: last frame on which an object was empty or hidden, -1 for
    never. hotstart, confirmation: states of these rules. max_id: the highest id ever given, -1 before the first.
    """

    scores: Mapping[int, float] = field(default_factory=dict)
    concepts: Mapping[int, int] = field(default_factory=dict)
    last_occluded: Mapping[int, int] = field(default_factory=dict)
    hotstart: HotstartState = field(default_factory=HotstartState)
    confirmation: ConfirmationState = field(default_factory=ConfirmationState)
    max_id: int = -1

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the objects, in order of birth."""
        return tuple(self.scores)

    def born(self, ids: Sequence[int], scores: Sequence[float], concepts: Sequence[int]) -> "TrackLedger":
        """The ledger with new objects, in this order."""
        return replace(
            self,
            scores={**self.scores, **dict(zip(ids, scores, strict=True))},
            concepts={**self.concepts, **dict(zip(ids, concepts, strict=True))},
            max_id=max(self.max_id, *ids) if ids else self.max_id,
        )

    def given_by_user(self, object_id: int) -> "TrackLedger":
        """The ledger after a click, box or mask on an object, new or not.

        Its score becomes 1, it counts as confirmed, and the hotstart no longer counts it.
        """
        ledger = self.born([object_id], [1.0], [self.concepts.get(object_id, USER_GIVEN)])
        confirmed = replace(self.confirmation, confirmed=self.confirmation.confirmed | {object_id})
        return replace(ledger, hotstart=self.hotstart.without([object_id]), confirmation=confirmed)

    def without(self, ids: Collection[int]) -> "TrackLedger":
        """The ledger without the objects `ids`."""
        if not ids:
            return self
        gone = set(ids)
        return replace(
            self,
            scores={i: score for i, score in self.scores.items() if i not in gone},
            concepts={i: concept for i, concept in self.concepts.items() if i not in gone},
            last_occluded={i: frame for i, frame in self.last_occluded.items() if i not in gone},
            hotstart=self.hotstart.without(gone),
            confirmation=self.confirmation.without(gone),
        )

    def occluded(self, last_occluded: Mapping[int, int]) -> "TrackLedger":
        """The ledger with the result of the occlusion rule; entries of objects that are gone are dropped."""
        return replace(self, last_occluded={i: frame for i, frame in last_occluded.items() if i in self.scores})

    def compared_concepts(self, ids: Sequence[int], phrases: int) -> list[int] | None:
        """Concepts for the rules that compare objects: None in a session of at most one phrase."""
        return None if phrases <= 1 else [self.concepts[i] for i in ids]
