"""Words of questions about clips: what objects do, and times. Made from parts, since each can be said in many ways."""

from collections.abc import Mapping

PICTURE = tuple(
    f"{article} {noun}"
    for article in ("the", "this")
    for noun in ("picture", "image", "frame", "scene", "view", "video", "clip", "shot", "screen")
)
MOVE = ("move", "go", "walk", "run", "drive", "fly", "swim", "roll", "travel", "drift", "float", "hop", "slide", "sail")
"""Verbs of motion; a question that uses one is answered by the motion, not by its kind."""
ALWAYS = ("the whole time", "all the time", "throughout", "from start to end")

Forms = tuple[str, ...]


def third(words: str) -> str:
    """The third person of a verb, the first of some words.

    >>> third("go out"), third("are hidden"), third("fly away")
    ('goes out', 'is hidden', 'flies away')
    """
    first, _, rest = words.partition(" ")
    if first in ("are", "have", "do"):
        first = {"are": "is", "have": "has", "do": "does"}[first]
    elif first.endswith(("ss", "sh", "ch", "x", "go")):
        first += "es"
    elif first.endswith("y") and first[-2] not in "aeiou":
        first = first[:-1] + "ies"
    elif first not in ("never", "can"):
        first += "s"
    return f"{first} {rest}" if rest else first


_DOUBLED = ("run", "swim", "stop", "get", "hop", "set", "hit", "begin")


def gerund(words: str) -> str:
    """The form in -ing of a verb, the first of some words; empty for verbs that have none in a clause.

    >>> gerund("leave the picture"), gerund("stop"), gerund("are hidden")
    ('leaving the picture', 'stopping', '')
    """
    first, _, rest = words.partition(" ")
    if first in ("are", "have", "do", "never", "can"):
        return ""
    if first in _DOUBLED:
        first += first[-1]
    elif first.endswith("e"):
        first = first[:-1]
    return f"{first}ing {rest}".strip()


def _each(heads: Forms, *tails: Forms) -> Forms:
    """All heads, with one of each of the tails."""
    found = heads
    for tail in tails:
        found = tuple(f"{head} {word}".strip() for head in found for word in tail)
    return found


_INTO = ("", *PICTURE)
_COME = ("come", *MOVE)

VERBS: Mapping[str, Forms] = {
    "returns": (
        *_each(("come back", "return", "leave and come back", "go away and come back", "leave and return"),
               ("", *_each(("into", "to", "in"), PICTURE))),
        "reappear",
    ),
    "enters": (
        *_each(("enter",), _INTO),
        *_each(("show up", "appear", "turn up"), ("", *_each(("in",), PICTURE))),
        *_each(_COME, ("into view", "into sight", "in", *_each(("into",), PICTURE))),
    ),
    "leaves": (
        *_each(("leave", "exit"), _INTO),
        *_each(
            (*MOVE, "get"),
            ("out of view", "out of sight", "out", "away", "off screen", *_each(("out of",), PICTURE)),
        ),
    ),
    "stops": ("stop", "stop moving", "come to a halt", "come to a stop", "come to rest", "halt"),
    "starts": ("start moving", "begin to move", "begin moving", "start to move", "set off", "depart"),
    "turns": ("turn around", "turn back", "turn round", "change direction"),
    "hides": (
        *_each(("are hidden", "are covered", "get hidden", "get covered"), ("", "by something", "for a while")),
        "disappear behind something", "go behind something", "disappear for a while", "are hidden by something",
    ),
    "stays": _each(
        ("never move", "stay still", "do not move", "stand still", "remain still", "stay in place", "stay put"),
        ("", *ALWAYS),
    ),
    "moves": ("move",),
    "goes_right": _each(MOVE, ("to the right", "right", "towards the right", "rightwards")),
    "goes_left": _each(MOVE, ("to the left", "left", "towards the left", "leftwards")),
    "grows": ("grow", "grow larger", *_each(("get", "become"), ("bigger", "larger"))),
    "shrinks": ("shrink", *_each(("get", "become", "grow"), ("smaller",))),
    "remains": (
        *_each(_each(("are in",), PICTURE), ALWAYS),
        *_each(_each(("stay in", "remain in"), ("view", *PICTURE)), ("", *ALWAYS)),
        *_each(("are visible",), ALWAYS), "are always visible",
    ),
}  # fmt: skip
"""What an object can do, in the plural. `clip_selector.FACTS` says what each means."""

PAIR_VERBS: Mapping[str, Forms] = {
    "passes_behind": _each(("pass", "move past", "go past", "cross", *MOVE), ("behind",)),
    "passes_in_front": _each(("pass", "move past", "go past", "cross", *MOVE), ("in front of",)),
    "overtakes": ("overtake", "get ahead of"),
    "touches": ("touch", "kick", "play", "hit", "shoot", "head"),
    "approaches": _each(
        ("come", "get", "move", "go"), ("closest to", "nearest to", "the closest to", "the nearest to")
    ),
}
"""What an object can do to another, in the plural."""

MEASURES: Mapping[str, Forms] = {
    "fastest": _each((*MOVE, "are"), ("fastest", "the fastest", "quickest", "the quickest")),
    "slowest": _each((*MOVE, "are"), ("slowest", "the slowest")),
    "farthest": (
        *_each(MOVE, ("the farthest", "farthest", "the furthest", "furthest", "the longest way")),
        *_each(("cover the",), ("longest distance", "greatest distance", "most ground")),
    ),
    "longest": _each(
        ("can be seen", "are visible", "are seen", "are in view", "stay in view", *_each(("are in",), PICTURE)),
        ("the longest", "longest", "for longest", "for the longest time"),
    ),
    "shortest": _each(
        ("can be seen", "are visible", "are seen", *_each(("are in",), PICTURE)),
        ("the shortest", "for the shortest time"),
    ),
}  # fmt: skip
"""What an object can be the most of over the whole clip, in the plural."""

ADJECTIVES: Mapping[str, str] = {
    "fastest": "fastest", "quickest": "fastest", "slowest": "slowest", "faster": "fastest", "quicker": "fastest",
    "slower": "slowest",
}  # fmt: skip
"""Superlatives and comparatives before a noun -> measure."""
STATES: Mapping[str, bool] = {"moving": False, "stationary": True, "motionless": True}
"""Adjectives before a noun -> whether they mean that it stays in its place."""
GAITS = ("moving", "walking", "running", "driving", "flying", "swimming", "rolling", "hopping", "sailing")
"""Adjectives that say how something moves."""
MOVERS = frozenset((
    "player", "footballer", "person", "man", "woman", "child", "boy", "girl", "runner", "walker", "dog", "puppy", "cat",
    "kitten", "bird", "horse", "cow", "sheep", "fish", "turtle", "butterfly", "animal", "car", "automobile", "truck",
    "bus", "van", "bicycle", "bike", "motorcycle", "train", "boat", "ship", "plane", "aeroplane", "airplane", "rocket",
    "ball",
))  # fmt: skip
"""Things that move by themselves or are moved: a "running dog" is a dog that moves, and a "running shoe" is a shoe."""
NO_MEASURE = ("fast", "quick", "slow")
"""Adjectives of speed without a limit that could be measured."""
MOMENTARY = (
    "enters",
    "leaves",
    "returns",
    "stops",
    "starts",
    "turns",
    "hides",
    "passes_behind",
    "passes_in_front",
    "touches",
)
"""What is done at moments: it has an order, and a before and after. The rest lasts as long as the object is seen."""
BALLS = ("ball", "football", "basketball", "volleyball", "puck", "disc", "frisbee", "shuttlecock")
"""What can be touched: such things change their way when they are."""

_OF = ("", *_each(("of",), PICTURE))
START = (
    *_each(("at the start", "at the beginning", "in the beginning"), _OF), "at first", "in the first frame",
    "on the first frame", "when the clip starts", "when the video starts",
)  # fmt: skip
END = (
    *_each(("at the end", "in the end"), _OF), "in the last frame", "on the last frame", "in the final frame",
    "when the clip ends", "when the video ends",
)  # fmt: skip
PRESENT = (*_each(("in",), PICTURE), "there", "visible", "to be seen", "in view", "shown")
GONE = (
    "gone", "not there any more", "not there anymore", "no longer there", "no longer visible", "missing",
    *_each(_each(("no longer in", "not in"), PICTURE), ("", "any more")), "not there", "not visible", "not in view",
    "not shown",
)  # fmt: skip
SIDE_WORDS = ("from the", "on the", "at the", "to the", "through the")


def readings(table: Mapping[str, Forms]) -> dict[str, str]:
    """What every form means, in the plural and the third person."""
    return {form: name for name, forms in table.items() for plural in forms for form in (plural, third(plural))}


def gerund_readings(table: Mapping[str, Forms]) -> dict[str, str]:
    """The same for the forms in -ing: "leaving the picture"."""
    return {gerund(form): name for name, forms in table.items() for form in forms if gerund(form)}
