"""Noun phrases for a scene with their matching objects; hard negatives differ from a matching phrase in one word."""

from dataclasses import dataclass

from sam3model.playground.descriptions import Description, say
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
    dice = Dice(*scene.name, "phrases")
    queries = []
    for description in _positives(scene, dice)[:POSITIVES]:
        queries.append(_query(scene, description, hard=False, dice=dice))
    hard = dice.some(_hard_negatives(scene), NEGATIVES - 2)
    queries += [_query(scene, description, hard=True, dice=dice) for description in hard]
    queries += [
        _query(scene, description, hard=False, dice=dice) for description in _absent(scene, dice, NEGATIVES - len(hard))
    ]
    return queries


def descriptions(scene: Scene) -> list[Description]:
    """All descriptions by kind, colour, pattern and size that match something and are not ambiguous."""
    found: dict[Description, None] = {}
    for obj in scene.objects:
        pattern = "" if obj.pattern == "plain" else obj.pattern
        size = obj.size if obj.size != "medium" and _has_contrast(scene, obj.kind) else ""
        for colour in {"", obj.colour}:
            for marks in {("", ""), (pattern, ""), ("", size)}:
                found[Description(obj.kind, colour, *marks)] = None
    return sorted(found, key=lambda d: (d.kind, d.colour, d.pattern, d.size))


def _query(scene: Scene, description: Description, *, hard: bool, dice: Dice) -> PhraseQuery:
    return PhraseQuery(say(description, dice, plural=dice.chance(0.35)), description.select(scene), hard, description)


def _positives(scene: Scene, dice: Dice) -> list[Description]:
    """In random order that prefers short phrases and phrases with a colour."""
    fraction = {"": 1.0}
    weight = {
        d: dice.random() / ((1.3 if d.colour else 1.0) * fraction.get(d.pattern + d.size, 0.6))
        for d in descriptions(scene)
    }
    return sorted(weight, key=lambda d: weight[d])


def _has_contrast(scene: Scene, kind: str) -> bool:
    """Whether objects of the kind differ in size, so that size words make sense."""
    return len({obj.size for obj in scene.objects if obj.kind == kind}) > 1


def _hard_negatives(scene: Scene) -> list[Description]:
    """Descriptions of present objects with one attribute or the kind changed, such that nothing matches."""
    here = {obj.kind for obj in scene.objects}
    options: dict[Description, None] = {}
    for obj in scene.objects:
        kind = KINDS[obj.kind]
        for colour in kind.colours:
            options[Description(obj.kind, colour)] = None
        for other in sorted(here) + sorted(THEMES[scene.theme].kinds):
            if obj.colour in KINDS[other].colours:
                options[Description(other, obj.colour)] = None
        if obj.pattern != "plain":
            options[Description(obj.kind, obj.colour, "dotted" if obj.pattern == "striped" else "striped")] = None
        if _has_contrast(scene, obj.kind) and obj.size != "medium":
            options[Description(obj.kind, obj.colour, "", "small" if obj.size == "large" else "large")] = None
    return [option for option in options if not option.select(scene)]


def _absent(scene: Scene, dice: Dice, count: int) -> list[Description]:
    """Kinds that are absent, half of them typical of the theme."""
    here = {obj.kind for obj in scene.objects}
    near = [kind for kind in THEMES[scene.theme].kinds if kind not in here]
    far = [kind for kind in KINDS if kind not in here]
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        chosen[dice.pick(near if near and dice.chance(0.5) else far)] = None
    return [
        Description(kind, dice.pick(KINDS[kind].colours) if KINDS[kind].colours and dice.chance(0.4) else "")
        for kind in chosen
    ]
