"""The questions of `playground-phrasings` in a fixed order: every wording on several scenes, then the list by hand."""

from dataclasses import dataclass
from functools import cache

from evals.phrasings.phrasing_forms import FORMS, Form
from evals.phrasings.phrasing_list import MATCH, UNREADABLE
from evals.phrasings.scene_facts import Ids, SceneFacts
from sam3model.playground import Scene, scene
from sam3model.playground.dice import Dice
from sam3model.playground.match import match

SPLIT = "heldout"
FIRST_SCENE, SCENES = 8000, 90
ROUNDS = 2
"""On how many scenes each wording is asked."""


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One question. ids: the objects that answer it; None if no answer is right, so that only a remark is honest.

    kind: of its form. wording: number of the wording, for telling apart what was tuned on and what was held back.
    partial: a part of the question is missing in the image, which has to be said.
    """

    key: str
    scene: Scene
    text: str
    ids: Ids | None
    kind: str
    wording: int
    partial: bool = False

    @property
    def held_back(self) -> bool:
        """Whether its wording was not looked at while the grammar was written: every third."""
        return self.wording % 3 == 2


@cache
def scenes() -> tuple[Scene, ...]:
    """The scenes that questions are about; the last one ships with the package."""
    return (*(scene(SPLIT, FIRST_SCENE + i) for i in range(SCENES)), match()[0])


@cache
def phrasings() -> tuple[Phrasing, ...]:
    """All questions."""
    found, number = list[Phrasing](), 0
    for form in FORMS:
        for wording in form.wordings:
            for turn in range(ROUNDS):
                made = _fill(form, wording, number, turn)
                found += [made] if made else []
            number += 1
    for kind, texts in UNREADABLE.items():
        for text in texts:
            shown = scenes()[Dice("phrasings", text).integer(0, SCENES - 1)]
            found.append(Phrasing(f"{kind}/{number}", shown, text, None, kind, number))
            number += 1
    for text, answer in MATCH:
        ids = answer(scenes()[-1])
        found += [Phrasing(f"match/{number}", scenes()[-1], text, ids, "match", number)] if ids is not None else []
        number += 1
    return tuple(found)


def _fill(form: Form, wording: str, number: int, turn: int) -> Phrasing | None:
    """A wording on the first scene that allows its form, in an order of its own."""
    order = Dice("phrasings", wording, turn)
    for index in order.some(range(SCENES), SCENES):
        shown = scenes()[index]
        made = form.make(SceneFacts(shown, Dice("phrasings", wording, turn, index)))
        if made:
            slots, ids = made
            text = wording.format(**slots)
            return Phrasing(f"{form.kind}/{number}/{turn}", shown, text, ids, form.kind, number, form.partial)
    return None
