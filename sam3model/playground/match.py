"""The image that ships with the package: a held-out football scene with its ground truth.

`python -m sam3model.playground.match assets` writes `match.png` and `match.json` again, byte for byte.
"""

import sys
from pathlib import Path

from sam3model.files import write_json
from sam3model.playground.descriptions import Description
from sam3model.playground.export import save_image, to_coco
from sam3model.playground.questions import Question
from sam3model.playground.relations import first, nearest
from sam3model.playground.scene import Scene, scene

SPLIT = "heldout"
"""This split is used neither for training nor for model selection."""
INDEX = 3955
SCALE = 3


def match() -> tuple[Scene, list[Question]]:
    """The scene at 768 x 768, with example questions."""
    shown = scene(SPLIT, INDEX, scale=SCALE)
    objects = {
        name: [shown.objects[i] for i in description.select(shown)]
        for name, description in (
            ("white", Description("player", "white")), ("red", Description("player", "red")),
            ("players", Description("player")), ("ball", Description("ball")),
        )
    }  # fmt: skip
    white, red = objects["white"], objects["red"]
    leftmost = first(shown, white, "left", 1) or ()
    others = tuple(obj.id for obj in white if obj.id not in leftmost)
    questions = [
        Question("leftmost player in white", leftmost, "extreme"),
        Question("the rightmost player in red", first(shown, red, "right", 1) or (), "extreme"),
        Question("all players in red", tuple(obj.id for obj in red), "plain"),
        Question("all players in white except the leftmost one", others, "except_extreme"),
        Question("the player in white closest to the ball", nearest(white, objects["ball"][0]) or (), "nearest"),
        Question("the ball", tuple(obj.id for obj in objects["ball"]), "plain"),
        Question("the player in blue", (), "none:colour"),
    ]
    return shown, questions


def main(folder: str) -> None:
    """Write `match.png` and `match.json`."""
    shown, questions = match()
    save_image(shown, Path(folder) / "match.png")
    write_json(Path(folder) / "match.json", to_coco([(shown, "match.png", questions)]), indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
