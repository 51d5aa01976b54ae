"""Forms of questions: the ways people write each kind of question."""

from collections.abc import Callable
from dataclasses import dataclass

from evals.phrasings import phrasing_makers as make
from evals.phrasings import phrasing_relation_makers as relate
from evals.phrasings.phrasing_makers import Made
from evals.phrasings.scene_facts import SceneFacts


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of question. make: the words for the slots and the answer, None if the scene does not allow it.

    partial: the answer lacks a part of the question, which has to be said.
    """

    kind: str
    make: Callable[[SceneFacts], Made]
    wordings: tuple[str, ...]
    partial: bool = False


FORMS: tuple[Form, ...] = (
    Form("plain", make.all_, (
        "{many}", "all {many}", "every {one}", "all of the {many}", "Please highlight each {one}.",
        "segment the {many}",
        "Show me all the {many} in the picture", "I want to see every {one}, please", "where are the {many}?",
        "can you find all {many} for me?", "mark every single {one}",
    )),
    Form("plain", make.only, (
        "the {one}", "a {one}", "where is the {one}?", "find the {one}!", "Which one is the {one}?", "just the {one}",
        "the {one} in this image", "is there a {one}?", "could you please point out the {one}",
    )),
    Form("counts", make.all_, (
        "how many {many} are there?", "count the {many}", "How many {many} can you see in the picture?",
        "what is the number of {many}", "number of {many} in this image", "how many {many} do you see?",
        "tell me how many {many} there are", "count all of the {many}, please",
    )),
    Form("extreme", make.extreme(("left", "right")), (
        "{most} {one}", "the {one} on the far {side}", "the {one} furthest to the {side}",
        "the {one} that is furthest {side}",
        "which {one} is the {most}?", "the {side}-most {one}", "the most {side} {one}",
        "the {one} closest to the {side} edge",
        "who or what is the {most} {one}", "the {one} all the way to the {side}",
    )),
    Form("extreme", make.extreme(("top", "bottom")), (
        "the {most} {one}", "the {one} nearest to the {side} of the picture",
        "the {one} that is closest to the {side}",
    )),
    Form("extreme", make.row, (
        "the {num} {most} {many}", "the {most} {num} {many}", "the first {num} {many} from the {side}",
        "{num} {many} from the {side}", "the {digit} {many} furthest to the {side}",
        "the first {digit} {many} from {side} to {far}", "the {num} {many} closest to the {side} edge of the picture",
    )),
    Form("ordinals", make.nth, (
        "the {nth} {one} from the {side}", "{nth_digit} {one} from {side}", "the {one} that is {nth} from the {side}",
        "{one} number {digit} from the {side}", "counting from the {side}, the {nth} {one}",
        "the {nth} {one} counting from the {side}", "the {nth} {one} from {side} to {far}",
        "which {one} is {nth} from the {side}?", "starting at the {side}, the {nth} {one}",
    )),
    Form("ordinals", make.vertical_nth, ("the second {one} from the {side}", "2nd {one} counted from the {side}")),
    Form("ordinals", make.last, (
        "the last {one} from the left", "the last {one} on the right", "the last {one} counting from left to right",
    )),
    Form("ordinals", make.middle, (
        "the middle {one}", "the {one} in the middle", "the {one} in the center of the image",
    )),
    Form("size", make.size(False), (
        "the largest {one}", "biggest {one}", "the {one} that is the biggest", "which of the {many} is the largest?",
        "the biggest of the {many}", "the {one} with the largest area", "which {one} is biggest?",
        "the biggest one of all the {many}",
    )),
    Form("size", make.size(True), (
        "the smallest {one}", "the tiniest {one}", "the {one} which is smallest", "smallest of the {many}",
    )),
    Form("size", make.sizes, (
        "the {num} {extreme} {many}", "the {extreme} {num} {many}", "the {num} {extreme} of the {many}",
    )),
    Form("size", make.second_size, (
        "the second largest {one}", "the second biggest of the {many}", "the 2nd largest {one}",
    )),
    Form("size", make.length(1, False), ("the tallest {one}", "which {one} is tallest?")),
    Form("size", make.length(1, True), ("the shortest {one}",)),
    Form("size", make.length(0, False), ("the widest {one}",)),
    Form("places", make.half, (
        "{many} in the {side} half", "all {many} on the {side} side",
        "all the {many} in the {side} half of the picture",
        "every {one} in the {side} half of the image", "on the {side} side, all the {many}",
        "which {many} are on the {side}?",
    )),
    Form("places", make.other_half, (
        "all {many} that are not on the {side} side", "all {many} except those on the {side}",
        "{many} not in the {side} half of the picture",
    )),
    Form("negation", make.not_colours(1, False), (
        "all {many} that are not {colour1}", "all {many} except the {colour1} ones",
        "every {one} but the {colour1} ones",
        "{many} that aren't {colour1}", "all non-{colour1} {many}", "all of the {many} apart from the {colour1} ones",
        "the {many} other than the {colour1} ones", "every {one} which is not {colour1}",
        "{many}, but not the {colour1} ones",
        "the {many} without the {colour1} ones",
    )),
    Form("negation", make.not_colours(2, False), (
        "all {many} that are neither {colour1} nor {colour2}", "{many} that are not {colour1} or {colour2}",
        "all {many} except the {colour1} and the {colour2} ones", "all {many} but the {colour1} and {colour2} ones",
        "every {one} that is not {colour1} and not {colour2}", "the {many} which aren't {colour1} or {colour2}",
    )),
    Form("negation", make.not_colours(1, True), (
        "players not in {colour1}", "all players who are not wearing {colour1}",
        "every player who isn't in {colour1}",
        "all players except those in {colour1}", "the players that do not wear {colour1}",
        "all the players but not the ones in {colour1}",
    )),
    Form("negation", make.not_colours(2, True), (
        "the players who are not in {colour1} or {colour2}", "players wearing neither {colour1} nor {colour2}",
        "all players except those in {colour1} or {colour2}", "players who are not wearing {colour1} nor {colour2}",
        "all players but the ones in {colour1} and the ones in {colour2}",
    )),
    Form("negation", make.except_extreme, (
        "all {many} except the {most} one", "every {one} but the {most}",
        "all the {many} other than the one furthest to the {side}",
        "all {many} without the {most} one", "every {one} except for the one on the far {side}",
        "all but the {most} {one}",
    )),
    Form("negation", make.except_biggest, (
        "all {many} except the biggest one", "every {one} that is not the biggest", "all but the biggest {one}",
    )),
    Form("patterns", make.pattern(False), (
        "the {pattern} {many}", "{many} with {marks}", "all {many} that are {pattern}", "which {many} have {marks}?",
        "how many {many} have {marks}?", "all {many} that have {marks}", "every {one} with {marks} on it",
    )),
    Form("patterns", make.pattern(True), (
        "{many} without {marks}", "all {many} that are not {pattern}", "every {one} that has no {marks}",
        "{many} that don't have {marks}", "all {many} except the {pattern} ones", "which {many} have no {marks}",
    )),
    Form("comparison", relate.compared(False), (
        "{many} larger than the {anchor}", "all {many} that are bigger than the {anchor}",
        "which {many} are larger than the {anchor}?", "every {one} that is bigger than the {anchor}",
    )),
    Form("comparison", relate.compared(True), (
        "{many} smaller than the {anchor}", "all {many} that are smaller than the {anchor}",
        "all {many} not as big as the {anchor}",
    )),
    Form("relations", relate.beside("left"), (
        "all {many} to the left of the {anchor}", "{many} left of the {anchor}",
        "every {one} on the left of the {anchor}",
        "the {many} that are to the left of the {anchor}", "what {many} are left of the {anchor}?",
        "all {many} located to the left of the {anchor}",
    )),
    Form("relations", relate.beside("right"), (
        "how many {many} are to the right of the {anchor}?", "all {many} on the right side of the {anchor}",
    )),
    Form("relations", relate.beside("top"), (
        "all {many} above the {anchor}", "{many} higher than the {anchor}", "every {one} over the {anchor}",
    )),
    Form("relations", relate.beside("bottom"), ("all {many} below the {anchor}", "{many} underneath the {anchor}")),
    Form("relations", relate.not_beside, (
        "all {many} that are not to the left of the {anchor}", "{many} that aren't left of the {anchor}",
    )),
    Form("relations", relate.nearest(False), (
        "the {one} closest to the {anchor}", "the {one} nearest the {anchor}", "the nearest {one} to the {anchor}",
        "which {one} is closest to the {anchor}?", "the {one} that's nearest to the {anchor}",
        "the {one} next to the {anchor}",
    )),
    Form("relations", relate.nearest(True), (
        "the {one} farthest from the {anchor}", "the {one} furthest away from the {anchor}",
        "which {one} is the farthest from the {anchor}",
    )),
    Form("relations", relate.stacked(False), (
        "the {one} behind the {anchor}", "the {one} partly hidden by the {anchor}",
        "which {one} is behind the {anchor}?",
    )),
    Form("relations", relate.stacked(True), (
        "the {one} in front of the {anchor}", "the {one} that is in front of the {anchor}",
    )),
    Form("things", relate.coloured_things, (
        "all {colour} things", "how many {colour} objects are there?", "everything that is {colour}",
        "anything {colour}",
        "whatever is {colour}", "the {colour} ones", "what is {colour}?", "every {colour} item in the picture",
    )),
    Form("things", relate.extreme_thing, (
        "the biggest thing", "the largest object in the picture", "what is the biggest thing?",
    )),
    Form("things", relate.leftmost_thing, (
        "the leftmost thing", "what is on the far left?", "the object furthest to the left",
    )),
    Form("unions", relate.union, (
        "the {one} and all {others}", "{others} and the {one}", "the {others} as well as the {one}",
        "the {one} plus the {others}",
        "both the {one} and the {others}", "the {others} & the {one}", "the {one} together with the {others}",
        "the {one} or the {others}",
    )),
    Form("unions", relate.two_ends, (
        "the leftmost and the rightmost {one}", "the {one} furthest to the left and the one furthest to the right",
        "the leftmost {one} and also the rightmost {one}", "the {many} at both ends of the row",
    )),
    Form("unions", make.two_colours, (
        "the {colour1} and {colour2} {many}", "{many} that are {colour1} or {colour2}",
        "all {many} in {colour1} or {colour2}",
        "{colour1} {many} and {colour2} {many}", "all the {colour1} and all the {colour2} {many}",
        "the {many} which are {colour1} and the {colour2} ones",
    )),
    Form("unions", relate.partial_union, (
        "the {absent} and the {one}", "the {one} and the {absent}", "the {one} as well as the {absent}",
        "the {one}, the {absent}",
    ), partial=True),
    Form("unanswerable", relate.absent_noun, (
        "the {one}", "all {many}", "the {coloured}", "where is the {one}?", "how many {many} are there?",
        "the leftmost {one}",
        "the {one} next to the {other}", "is there any {one}?", "{many} in the left half of the picture",
        "the biggest {one} behind the {other}",
    )),
    Form("unanswerable", relate.absent_colour, (
        "the {one}", "all {many}", "any {many}?", "the {one} on the left", "how many {many} are there",
        "the largest {one}",
    )),
    Form("unanswerable", relate.too_far, (
        "the {nth} {one} from the {side}", "{nth_digit} {one} from the {side}",
        "the {one} that is {nth} from the {side}",
    )),
    Form("unanswerable", relate.absent_anchor, (
        "the {one} closest to the {anchor}", "all {many} to the left of the {anchor}",
        "the {one} behind the {anchor}",
        "the {many} smaller than the {anchor}",
    )),
    Form("typos", relate.mistyped, (
        "leftmost {one}", "the leftmost {one}", "the {one} furthest to the left",
        "the first {one} from the left", "which {one} is the leftmost",
    )),
)  # fmt: skip
"""All forms. Their wordings were written before the grammar that reads them."""
