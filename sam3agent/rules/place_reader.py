"""Reads places and positions in an order: "on the left side", "second from the left", "furthest to the right"."""

from sam3agent.rules.draft import PhraseDraft
from sam3agent.rules.lexicon import IMAGE, OPPOSITE, SIDES, TAIL
from sam3agent.rules.noun_reader import NounReader
from sam3agent.rules.question_plan import Side
from sam3agent.rules.words import ORDINALS

_PARTS = ("side", "half", "part", "area", "edge", "end", "border", "corner", "quarter")


class PlaceReader(NounReader):
    """Where something is in the image."""

    def _shown(self) -> bool:
        """ "in the picture" and other words that change nothing."""
        place = self.at
        if self.take("in", "of", "on", "from", "within") and self.take("the", "this") and self.take(*IMAGE):
            return True
        self.at = place
        return bool(self.take(*TAIL))

    def _counted(self, draft: PhraseDraft) -> bool:
        """ "from the left", "counting from left to right", "second from the left", "number 3 from the left"."""
        place = self.at
        if self.take("number", "no", "nr") and draft.start is None and self.number_ahead():
            draft.start = self.number_ahead()
            self.next()
            if self._counted(draft) or not self.peek():
                return True
        if self.peek() in ORDINALS and draft.start is None and draft.axis is None:
            draft.start = ORDINALS[self.next()]
            if self._counted(draft):
                return True
            draft.start = None
        self.at = place
        self.take(
            "when counted", "if you count", "when you count", "counting", "counted", "going", "starting", "as counted"
        )
        if self.take("from", "at", "on") and draft.axis is None:
            self.take("the")
            side = self.take(*SIDES)
            if side and self.tokens[place] in ("at", "on") and not draft.start:
                side = ""
            if side:
                self.take("side", "hand side", "edge", "end", "side of the picture")
                if self.take("to"):
                    self.take("the")
                    if SIDES.get(self.take(*SIDES)) != OPPOSITE[SIDES[side]]:
                        raise self.refuse()
                if not draft.start and not draft.number:
                    self.at = place
                    raise self.refuse()
                last = draft.start == -1 and self.tokens[place] == "on"
                draft.axis = OPPOSITE[SIDES[side]] if last else SIDES[side]
                return True
        self.at = place
        return False

    def _extreme(self, draft: PhraseDraft) -> bool:
        """ "furthest to the left", "closest to the left edge", "all the way to the right"."""
        place = self.at
        self.take("the", "that is the", "which is the")
        most = self.take(
            "furthest away",
            "farthest away",
            "furthest",
            "farthest",
            "closest",
            "nearest",
            "all the way",
            "way",
            "most",
            "far",
            "the furthest",
            "the farthest",
        )
        if most and not draft.axis:
            self.take("to the", "on the", "at the", "to", "on", "the", "over to the", "towards the", "toward the")
            side = self.take(*SIDES)
            if side:
                self.take("hand", "most")
                self.take("edge", "side", "end", "border")
                if self._of_image() and not self.starts_noun():
                    draft.axis = SIDES[side]
                    return True
        self.at = place
        return False

    def _place(self, draft: PhraseDraft) -> bool:
        """ "on the left side", "in the top half of the picture", "in the middle"."""
        place = self.at
        if not self.take("in", "on", "at", "to", "towards", "toward", "near", "along", "over on", "by"):
            return False
        self.take("the")
        far = bool(self.take("far", "very", "extreme"))
        if self.take("middle", "centre", "very middle"):
            if self._of_image() and not self.starts_noun() and not draft.axis:
                if draft.many:
                    raise self.refuse("the grammar does not read which of several are in the middle")
                draft.axis = "middle"
                return True
        elif side := self.take(*SIDES):
            sides: list[Side] = [SIDES[side]]
            if self.peek() in SIDES and not self.is_content():
                sides.append(SIDES[self.next()])
            self.take("hand")
            part = self.take(*_PARTS)
            if self._of_image() and not self.starts_noun() and self.peek() not in ORDINALS:
                self._put(draft, sides, far or part in ("edge", "end", "border"))
                return True
        self.at = place
        return False

    def _put(self, draft: PhraseDraft, sides: list[Side], far: bool) -> None:
        """Put the sides on a phrase, or for one object far on a side, its place in the order."""
        if far and len(sides) == 1 and not draft.many and not draft.axis:
            draft.axis = sides[0]
            return
        if far:
            self.notes.append(f'"far {sides[0]}" of several objects is read as the {sides[0]} half')
        draft.sides += sides

    def _of_image(self) -> bool:
        """Step over "of the picture"; False if something else follows "of"."""
        place = self.at
        if self.take("of", "in") and self.take("the", "this", "that") and self.take(*IMAGE):
            return True
        self.at = place
        return self.peek() != "of"

    def _try_place(self) -> bool:
        """Whether a place comes next, which an anchor leaves to what refers to it."""
        place = self.at
        found = self._place(PhraseDraft())
        self.at = place
        return found
