"""Facts of a scene that decide questions. They come from the plan of the scene, never from the code under test.

Comparisons without a clear margin give None: a person who looks at the image could then answer either way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sam3model.playground import relations
from sam3model.playground.descriptions import Description, say
from sam3model.playground.dice import Dice
from sam3model.playground.kinds import KINDS
from sam3model.playground.phrases import descriptions
from sam3model.playground.scene import Scene, SceneObject

Ids = tuple[int, ...]
Group = tuple[Description, list[SceneObject]]

CLEAR = 1.2
"""Minimum ratio between two compared heights or widths."""


@dataclass
class SceneFacts:
    """A scene, its describable groups of objects, and the random choices for one question."""

    scene: Scene
    dice: Dice

    def __post_init__(self) -> None:
        found = [d for d in descriptions(self.scene) if not d.size]
        self.groups: list[Group] = [(d, [o for o in self.scene.objects if d.matches(o)]) for d in found]

    def group(self, minimum: int, maximum: int = 99, keep: Callable[[Description], bool] | None = None) -> Group | None:
        """A random description that matches so many objects."""
        options = [g for g in self.groups if minimum <= len(g[1]) <= maximum and (keep is None or keep(g[0]))]
        return self.dice.pick(options) if options else None

    def kind(self, minimum: int) -> Group | None:
        """A random kind without attributes that matches at least `minimum` objects."""
        return self.group(minimum, keep=lambda d: d == Description(d.kind))

    def anchor(self, group: Group) -> tuple[Description, SceneObject] | None:
        """A description that matches exactly one object, which is not in the group."""
        options = [(d, one[0]) for d, one in self.groups if len(one) == 1 and one[0] not in group[1]]
        return self.dice.pick(options) if options else None

    def words(self, description: Description) -> dict[str, str]:
        """The slots `one` and `many` of a description, in one of its wordings."""
        plain = self.dice.chance(0.6)
        seed = self.dice.random()
        one, many = (say(description, Dice("np", seed), plural=plural, plain=plain) for plural in (False, True))
        return {"one": one, "many": many}

    def absent_kind(self) -> str:
        """A kind that is not in the scene."""
        here = {o.kind for o in self.scene.objects}
        return self.dice.pick([name for name in KINDS if name not in here])

    def absent_colour(self) -> Description | None:
        """A kind of the scene in a colour that none of its objects has."""
        options = [
            Description(kind, colour)
            for kind in sorted({o.kind for o in self.scene.objects})
            for colour in KINDS[kind].colours
            if not any(o.kind == kind and o.colour == colour for o in self.scene.objects)
        ]
        return self.dice.pick(options) if options else None

    def by_length(self, objects: Sequence[SceneObject], axis: int, *, shortest: bool = False) -> Ids | None:
        """Id of the object with the longest (shortest) box along an axis; None if the whole objects are not visible."""
        if any(o.visible < 0.97 for o in objects):
            return None
        order = sorted(objects, key=lambda o: o.box[axis + 2] - o.box[axis], reverse=not shortest)
        first, second = (o.box[axis + 2] - o.box[axis] for o in order[:2])
        return (order[0].id,) if max(first, second) >= CLEAR * min(first, second) else None

    def bigger_than(self, objects: Sequence[SceneObject], anchor: SceneObject, *, smaller: bool = False) -> Ids | None:
        """Ids of the objects larger (smaller) than the anchor; None if any is about as large, or partly hidden."""
        chosen = []
        for o in objects:
            if min(o.visible, anchor.visible) < 0.9 or max(o.area, anchor.area) < 1.35 * min(o.area, anchor.area):
                return None
            if (o.area < anchor.area) == smaller:
                chosen.append(o)
        return ids(chosen)

    def middle(self, objects: Sequence[SceneObject]) -> Ids | None:
        """Id of the middle one of three objects in a row."""
        if len(objects) != 3:
            return None
        second = relations.nth(self.scene, objects, "left", 2)
        height, width = self.scene.image.shape[:2]
        off = {o.id: ((o.center[0] / width - 0.5) ** 2 + (o.center[1] / height - 0.5) ** 2) ** 0.5 for o in objects}
        order = sorted(off, key=lambda i: off[i])
        return second if second == (order[0],) and off[order[1]] > 1.3 * off[order[0]] + 0.05 else None


def ids(objects: Sequence[SceneObject]) -> Ids:
    """Ids of objects, ascending."""
    return tuple(sorted(o.id for o in objects))
