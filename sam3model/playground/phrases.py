"""Noun phrases for a scene with their matching objects; hard negatives differ from a matching phrase in one word."""

from collections.abc import Sequence
from dataclasses import dataclass

from sam3model.playground.descriptions import Describable, Describables, Description, say
from sam3model.playground.dice import Dice
from sam3model.playground.kinds import KINDS
from sam3model.playground.scene import Scene
from sam3model.playground.themes import THEMES

POSITIVES = 6
NEGATIVES = 5


@dataclass(frozen=True, slots=True)
class PhraseQuery:
    """A phrase and the ids of all matching objects; `hard`: matches nothing, but would with one word changed."""

    phrase: str
    ids: tuple[int, ...]
    hard: bool
    description: Description


def phrases(scene: Scene) -> list[PhraseQuery]:
    """Up to six phrases that match something in the scene, then about five that match nothing; always the same ones."""
    return choose_phrases(scene, Dice(*scene.name, "phrases"))


def choose_phrases(shown: Describables, dice: Dice, unclear: Sequence[Describable] = ()) -> list[PhraseQuery]:
    """Phrases of a scene or a clip. unclear: objects that are hard to see; phrases that match one are left out."""
    queries = []
    for description in _clear(_positives(shown, dice), unclear)[:POSITIVES]:
        queries.append(_query(shown, description, hard=False, dice=dice))
    hard = dice.some(_clear(_hard_negatives(shown), unclear), NEGATIVES - 2)
    queries += [_query(shown, description, hard=True, dice=dice) for description in hard]
    absent = _absent(shown, dice, NEGATIVES - len(hard), unclear)
    queries += [_query(shown, description, hard=False, dice=dice) for description in absent]
    return queries


def _clear(options: Sequence[Description], unclear: Sequence[Describable]) -> list[Description]:
    return [option for option in options if not any(option.matches(obj) for obj in unclear)]


def descriptions(shown: Describables) -> list[Description]:
    """All descriptions by kind, colour, pattern and size that match something and are not ambiguous."""
    found: dict[Description, None] = {}
    for obj in shown.objects:
        pattern = "" if obj.pattern == "plain" else obj.pattern
        size = obj.size if obj.size != "medium" and _has_contrast(shown, obj.kind) else ""
        for colour in {"", obj.colour}:
            for marks in {("", ""), (pattern, ""), ("", size)}:
                found[Description(obj.kind, colour, *marks)] = None
    return sorted(found, key=lambda d: (d.kind, d.colour, d.pattern, d.size))


def _query(shown: Describables, description: Description, *, hard: bool, dice: Dice) -> PhraseQuery:
    return PhraseQuery(say(description, dice, plural=dice.chance(0.35)), description.select(shown), hard, description)


def _positives(shown: Describables, dice: Dice) -> list[Description]:
    """In random order that prefers short phrases and phrases with a colour."""
    fraction = {"": 1.0}
    weight = {
        d: dice.random() / ((1.3 if d.colour else 1.0) * fraction.get(d.pattern + d.size, 0.6))
        for d in descriptions(shown)
    }
    return sorted(weight, key=lambda d: weight[d])


def _has_contrast(shown: Describables, kind: str) -> bool:
    """Whether objects of the kind differ in size, so that size words make sense."""
    return len({obj.size for obj in shown.objects if obj.kind == kind}) > 1


def _hard_negatives(shown: Describables) -> list[Description]:
    """Descriptions of present objects with one attribute or the kind changed, such that nothing matches."""
    here = {obj.kind for obj in shown.objects}
    options: dict[Description, None] = {}
    for obj in shown.objects:
        kind = KINDS[obj.kind]
        for colour in kind.colours:
            options[Description(obj.kind, colour)] = None
        for other in sorted(here) + sorted(THEMES[shown.theme].kinds):
            if obj.colour in KINDS[other].colours:
                options[Description(other, obj.colour)] = None
        if obj.pattern != "plain":
            options[Description(obj.kind, obj.colour, "dotted" if obj.pattern == "striped" else "striped")] = None
        if _has_contrast(shown, obj.kind) and obj.size != "medium":
            options[Description(obj.kind, obj.colour, "", "small" if obj.size == "large" else "large")] = None
    return [option for option in options if not option.select(shown)]


def _absent(shown: Describables, dice: Dice, count: int, unclear: Sequence[Describable]) -> list[Description]:
    """Kinds that are absent, half of them typical of the theme."""
    here = {obj.kind for obj in (*shown.objects, *unclear)}
    near = [kind for kind in THEMES[shown.theme].kinds if kind not in here]
    far = [kind for kind in KINDS if kind not in here]
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        chosen[dice.pick(near if near and dice.chance(0.5) else far)] = None
    return [
        Description(kind, dice.pick(KINDS[kind].colours) if KINDS[kind].colours and dice.chance(0.4) else "")
        for kind in chosen
    ]
