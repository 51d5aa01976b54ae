"""Words with a job in a question. A word that is not here is taken for a noun, an adjective or a participle."""

from sam3agent.rules.question_plan import Axis, RelationKind, Side


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


AXES: dict[str, Axis] = {
    "leftmost": "left", "rightmost": "right", "topmost": "top", "uppermost": "top", "highest": "top",
    "bottommost": "bottom", "lowermost": "bottom", "lowest": "bottom", "largest": "large", "biggest": "large",
    "smallest": "small", "littlest": "small", "tiniest": "small", "tallest": "tall", "shortest": "short",
    "widest": "wide", "longest": "wide", "narrowest": "narrow", "thinnest": "narrow", "middle": "middle",
    "central": "middle", "centremost": "middle",
}  # fmt: skip
COMPARATIVES: dict[str, Axis] = {
    "larger": "large", "bigger": "large", "smaller": "small", "littler": "small", "taller": "tall", "shorter": "short",
    "wider": "wide", "longer": "wide", "narrower": "narrow", "thinner": "narrow", "higher": "top",
}  # fmt: skip
"""Without "than", these mean one of two: "the larger ball"."""
SIDES: dict[str, Side] = {
    "left": "left", "right": "right", "top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom",
}  # fmt: skip
OPPOSITE: dict[Side, Side] = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}

RELATIONS: tuple[tuple[RelationKind, tuple[str, ...]], ...] = (
    ("behind", ("partly hidden by", "partially hidden by", "hidden by", "hidden behind", "partly behind", "covered by",
                "behind")),
    ("front", ("in front of",)),
    ("nearest", ("the closest one to", "the nearest one to", "the closest to", "the nearest to", "closest to",
                 "nearest to", "the closest", "the nearest", "nearest", "closest")),
    ("near", ("next to", "right next to", "beside", "near to", "near", "close to", "by", "adjacent to", "alongside")),
    ("farthest", ("the farthest away from", "the furthest away from", "the farthest one from", "the furthest one from",
                  "the farthest from", "the furthest from", "farthest away from", "furthest away from", "farthest from",
                  "furthest from")),
    ("left", ("to the left side of", "on the left side of", "on the left hand side of", "to the left hand side of",
              "to the left of", "on the left of", "at the left of", "left of", "left from")),
    ("right", ("to the right side of", "on the right side of", "on the right hand side of", "to the right hand side of",
               "to the right of", "on the right of", "at the right of", "right of", "right from")),
    ("on", ("on top of", "upon", "on")),
    ("above", ("above", "over", "higher than", "higher up than")),
    ("below", ("below", "underneath", "beneath", "under", "lower than")),
    ("between", ("in between", "between")),
    ("larger", ("larger than", "bigger than")),
    ("smaller", ("smaller than", "not as big as", "not as large as", "littler than")),
    ("taller", ("taller than",)),
    ("shorter", ("shorter than", "not as tall as")),
    ("wider", ("wider than", "longer than")),
    ("narrower", ("narrower than", "thinner than")),
)  # fmt: skip
"""Relations with the words for them."""

PLACED = (
    "standing", "located", "situated", "placed", "positioned", "found", "seen", "visible", "shown", "sitting",
    "seated", "lying",
)  # fmt: skip
"""Postures that "is" could stand for."""
IMAGE = ("picture", "image", "photo", "photograph", "scene", "frame", "shot", "view")
POSTURES = (
    "sitting", "seated", "lying", "sleeping", "resting", "walking", "running", "parked", "perched", "hanging",
    "leaning", "floating", "standing", "located", "situated", "placed", "positioned", "found", "seen", "visible",
    "shown",
)  # fmt: skip
"""Participles before a place or a relation that say nothing that could be measured."""

EXCEPT = (
    "except for", "except", "excluding", "other than", "apart from", "aside from", "besides", "but not", "but without",
    "and not", "minus", "without", "but",
)  # fmt: skip
UNION = (
    "and also", "and then", "as well as", "together with", "along with", "in addition to", "and", "or", "plus", ",",
)  # fmt: skip
CLOTHES = (
    "shirt",
    "shirts",
    "jersey",
    "jerseys",
    "kit",
    "kits",
    "uniform",
    "uniforms",
    "outfit",
    "clothes",
    "clothing",
)
PATTERNS = {
    "stripes": "striped", "stripe": "striped", "striped": "striped", "dots": "dotted", "dot": "dotted",
    "dotted": "dotted", "spots": "spotted", "spotted": "spotted",
}  # fmt: skip
"""Words for what is drawn on a surface -> the adjective for it."""

GENERIC = {
    "everything": "object", "anything": "object", "something": "object", "whatever": "object", "thing": "object",
    "things": "object", "item": "object", "items": "object", "object": "object", "objects": "object",
    "everyone": "person", "everybody": "person", "anyone": "person", "anybody": "person", "someone": "person",
    "somebody": "person", "whoever": "person", "who": "person", "what": "object",
}  # fmt: skip
"""Words that stand for any object or person -> the noun to search."""
PRONOUNS = ("one", "ones", "those", "that")

LEAD_IN = (
    "please", "kindly", "hey", "hi", "hello", "ok", "okay", "so", "now", "well", "can you", "could you",
    "would you", "will you", "can i see", "could i see", "may i see", "i would like to see", "i would like you to",
    "i would like", "i want to see", "i want you to", "i want", "i need to see", "i need", "i am looking for",
    "let me see", "let us see", "give me", "get me", "show me", "i need you to", "we want", "we need",
    "put a mask on", "draw a box around", "draw a mask around", "point me to", "for me", "show us where",
    "show me where", "tell me where", "see where", "tell me", "find me", "show us", "show", "find", "segment out",
    "segment", "select", "mark", "highlight", "outline", "pick out", "pick", "point out", "point to", "point at",
    "locate", "detect", "identify", "look for", "search for", "get", "circle", "label", "where are", "where is",
    "where", "what are", "what is", "who is", "who are", "who or what is", "what about", "how about",
    "which one is", "which ones are", "which one", "which is", "which are", "a mask of", "a mask for", "masks of",
    "masks for", "mask of", "mask", "to me", "is it",
)  # fmt: skip
"""Words before the noun phrase that change nothing."""
EXISTS = ("is there", "are there", "do you see", "can you see", "do we see", "is any", "are any", "does it show")
"""Words that ask whether something exists; the answer is what was found."""
SHOWN = (
    "are there", "there are", "is there", "there is", "do you see", "can you see", "can be seen", "do we have",
    "exist", "are visible", "are shown", "you can see", "you see", "that you can see", "that you see",
    "can you find", "that are visible", "that are there", "are in it", "i can see",
)  # fmt: skip
"""Words after the noun phrase of a count that change nothing."""
TAIL = ("please", "thanks", "thank you", "for me", "here", "there", "to me", "too", "if you can", "visible", "at all")

CLOSED = words(
    """a about above across actually after again against ago all almost along already also although always am among
    amongst an and another any anymore apart are around as aside at average away back be became because been before
    being below best beside besides better between both bottom but by can cannot certain could count counted
    counting did different do does doing down during each either else enough equal equally especially even ever
    every exactly except excluding few fewer first for from further furthest farthest closest nearest get go goes
    got had half has have having he her here hers him his how however i if in inside instead into is it its itself
    just last least left less lot lots lower main many may maybe me mean middle might mine minus more most much
    must my near neither never next no none nor not nothing number odd of off often on once only onto opposite or
    other others otherwise our out outside over own pair particular per perhaps plus previous probably quarter
    quite rather really right same several shall she should side similar since so some sometimes somewhere soon
    still such than that the their them then there therefore these they this those though through till times to
    together too top toward towards twice typical under underneath unless unlike until up upon upper us usual
    usually various very via was we were what when where whereas whether which whichever while who whoever whom
    whose why will with within without worse worst would yes yet you your zero random exist colour colours color colors
    size sizes far farther penultimate outermost innermost alone nearby remaining surrounding corner corners
    nobody noone wear wears foreground background row couple kind type sort percent approximately apparently
    beneath behind himself herself themselves myself yourself yourselves ourselves oneself ours theirs yours former
    latter aforementioned identical matching dozen dozens xor yonder northernmost southernmost easternmost westernmost
    please thanks medium-sized median-sized middle-sized mid-sized average-sized"""
)
"""Words that a noun phrase cannot contain, beside those that the grammar reads there."""

ADVERBS_OR_NOT = words(
    """butterfly dragonfly firefly fly family lily jelly belly bully ally supply rally holly dolly curly woolly
    smelly ugly silly friendly lovely elderly barfly gully lolly trolly"""
)
"""Words in -ly that are nouns or adjectives; all others are adverbs, which the grammar does not read."""
SUPERLATIVES_OR_NOT = words(
    """forest chest nest guest vest west harvest contest priest crest pest test request rest inquest"""
)
"""Words in -est that are nouns; all others are superlatives, which have to be in `AXES`."""
FOREIGN = words(
    """el la los las un una unos unas del de que en con por más mas y o jugador todas todos el der das dem den ein
    eine einen einer und mit von alle ist wo links rechts ganz im auf der le les des du une dans avec et à où
    gauche droite est sur toutes tous il lo gli della di con dove sono tutti tutte os as dos das uma do da em no
    na com onde het een van naar waar alle en met och den det till en som är alla en var bir ve sol için"""
) - words("a an as o no do so in on is to at by y are van den mas most rest")
"""Frequent words of other languages that English questions do not use."""
BORROWED = words("café jalapeño piñata naïve façade crème brûlée entrée décor fiancé cliché pâté rosé")
