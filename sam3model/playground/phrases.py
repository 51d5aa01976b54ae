"""Noun phrases for a scene and the things each one names; hard negatives change one word of something that is there."""

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
    """A phrase and the ids of all things it names; `hard`: it names none, though one changed word would."""

    phrase: str
    ids: tuple[int, ...]
    hard: bool
    description: Description


def phrases(scene: Scene) -> list[PhraseQuery]:
    """Up to six phrases that name something in the scene, then about five that name nothing; always the same ones."""
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
    """Every description by kind, colour, pattern and size that names something and that a viewer can judge."""
    found: dict[Description, None] = {}
    for thing in scene.objects:
        pattern = "" if thing.pattern == "plain" else thing.pattern
        size = thing.size if thing.size != "medium" and _has_contrast(scene, thing.kind) else ""
        for colour in {"", thing.colour}:
            for marks in {("", ""), (pattern, ""), ("", size)}:
                found[Description(thing.kind, colour, *marks)] = None
    return sorted(found, key=lambda d: (d.kind, d.colour, d.pattern, d.size))


def _query(scene: Scene, description: Description, *, hard: bool, dice: Dice) -> PhraseQuery:
    return PhraseQuery(say(description, dice, plural=dice.chance(0.35)), description.select(scene), hard, description)


def _positives(scene: Scene, dice: Dice) -> list[Description]:
    """Short and coloured phrases first, as people ask."""
    share = {"": 1.0}
    weight = {
        d: dice.random() / ((1.3 if d.colour else 1.0) * share.get(d.pattern + d.size, 0.6))
        for d in descriptions(scene)
    }
    return sorted(weight, key=lambda d: weight[d])


def _has_contrast(scene: Scene, kind: str) -> bool:
    """Size words need things of the kind in different sizes to compare."""
    return len({thing.size for thing in scene.objects if thing.kind == kind}) > 1


def _hard_negatives(scene: Scene) -> list[Description]:
    """One attribute or the noun of something present changed, so that nothing fits."""
    here = {thing.kind for thing in scene.objects}
    options: dict[Description, None] = {}
    for thing in scene.objects:
        kind = KINDS[thing.kind]
        for colour in kind.colours:
            options[Description(thing.kind, colour)] = None
        for other in sorted(here) + sorted(THEMES[scene.theme].kinds):
            if thing.colour in KINDS[other].colours:
                options[Description(other, thing.colour)] = None
        if thing.pattern != "plain":
            options[Description(thing.kind, thing.colour, "dotted" if thing.pattern == "striped" else "striped")] = None
        if _has_contrast(scene, thing.kind) and thing.size != "medium":
            options[Description(thing.kind, thing.colour, "", "small" if thing.size == "large" else "large")] = None
    return [option for option in options if not option.select(scene)]


def _absent(scene: Scene, dice: Dice, count: int) -> list[Description]:
    """Kinds that are not there, half of them from the same setting."""
    here = {thing.kind for thing in scene.objects}
    near = [kind for kind in THEMES[scene.theme].kinds if kind not in here]
    far = [kind for kind in KINDS if kind not in here]
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        chosen[dice.pick(near if near and dice.chance(0.5) else far)] = None
    return [
        Description(kind, dice.pick(KINDS[kind].colours) if KINDS[kind].colours and dice.chance(0.4) else "")
        for kind in chosen
    ]
