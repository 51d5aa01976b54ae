"""The vocabulary of the grammar: colours, numbers, ordinals, synonyms, plurals, and words to ignore."""

import re

COLOURS = {
    "red": "red", "crimson": "red", "scarlet": "red", "orange": "orange", "yellow": "yellow", "golden": "yellow",
    "green": "green", "blue": "blue", "navy": "blue", "purple": "purple", "violet": "purple", "pink": "pink",
    "brown": "brown", "black": "black", "white": "white", "grey": "grey", "gray": "grey",
}  # fmt: skip
"""Colour word -> the name that `sam3agent.tools.colour_names` measures."""

NUMBERS = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1
    )
}
ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "6th": 6, "7th": 7, "8th": 8, "9th": 9, "10th": 10,
    "last": -1,
}  # fmt: skip

PERSONS = frozenset((
    "player", "footballer", "goalkeeper", "keeper", "referee", "person", "human", "man", "woman", "boy", "girl",
    "child", "kid", "adult", "driver", "rider", "farmer", "baby", "lady", "gentleman", "guy", "girlfriend",
    "boyfriend", "cyclist", "biker", "pedestrian", "skier", "snowboarder", "skater", "surfer", "runner", "jogger",
    "swimmer", "dancer", "singer", "musician", "guitarist", "drummer", "teacher", "student", "pupil", "doctor",
    "nurse", "soldier", "policeman", "policewoman", "fireman", "firefighter", "waiter", "waitress", "chef", "cook",
    "worker", "tourist", "passenger", "spectator", "coach", "umpire", "athlete", "bride", "groom", "mother",
    "father", "mom", "dad", "teenager", "toddler", "clown", "photographer", "vendor", "seller", "guard", "catcher",
    "batter", "pitcher", "patient", "customer", "officer", "captain", "son", "daughter", "brother", "sister",
    "husband", "wife", "bridesmaid", "friend", "crowd", "team", "priest", "king", "queen", "pilot", "boxer",
    "goalie", "defender", "striker", "actor", "actress", "artist", "painter", "baker", "barber", "biologist",
    "carpenter", "conductor", "diver", "golfer", "hiker", "hunter", "inmate", "lawyer", "lifeguard", "mechanic",
    "model", "monk", "nun", "neighbour", "neighbor", "astronaut", "cowboy", "businessman", "sailor", "salesman",
    "plumber", "porter", "prisoner", "professor", "scientist", "secretary", "senior", "snorkeler", "sportsman",
    "staff", "stranger", "visitor", "youth", "grandmother", "grandfather", "grandma", "grandpa", "parent", "wizard",
    "witch", "pirate", "knight",
))  # fmt: skip
"""Nouns of which "who" and "in red" are said."""

THINGS = frozenset((
    "car", "bus", "truck", "van", "taxi", "train", "tram", "bicycle", "bike", "motorcycle", "scooter", "boat",
    "ship", "plane", "helicopter", "ball", "table", "chair", "bench", "stool", "sofa", "couch", "bed", "desk",
    "shelf", "lamp", "tree", "bush", "flower", "plant", "house", "building", "door", "window", "wall", "fence",
    "gate", "bridge", "goal", "net", "pole", "post", "sign", "light", "traffic", "hydrant", "dog", "cat", "horse",
    "cow", "sheep", "bird", "elephant", "bear", "zebra", "giraffe", "umbrella", "bag", "backpack", "suitcase",
    "box", "bottle", "cup", "mug", "glass", "plate", "bowl", "book", "computer", "laptop", "monitor", "tv",
    "television", "phone", "camera", "screen", "flag", "tent", "cake", "pizza", "guitar", "piano", "drum", "bat",
    "racket", "skateboard", "surfboard", "board", "ski", "snowboard", "kite", "clock", "vase", "stove", "oven",
    "fridge", "sink", "counter", "cart", "wagon", "trailer", "tractor", "stairs", "ladder", "rock", "statue",
    "fountain", "pool", "river", "rocket", "mushroom", "cloud", "cactus", "fish", "butterfly", "turtle", "hat",
    "teapot", "apple", "banana", "pear", "star", "heart", "triangle", "square", "ring", "cross", "moon", "balloon",
))  # fmt: skip
"""Nouns of which they are certainly not said. Any other noun may be a person that is not in the list."""

SYNONYMS = (
    ("player", "footballer", "soccer player"), ("person", "human"), ("car", "automobile"),
    ("truck", "lorry"), ("bicycle", "bike"), ("plane", "airplane", "aeroplane"), ("boat", "sailboat"), ("mug", "cup"),
    ("cat", "kitten"), ("dog", "puppy"), ("mushroom", "toadstool"), ("umbrella", "parasol"), ("bag", "handbag"),
    ("cake", "cupcake"), ("sofa", "couch"), ("child", "kid"), ("television", "tv"), ("phone", "cell phone"),
    ("motorcycle", "motorbike"), ("glasses", "spectacles"), ("rabbit", "bunny"),
)  # fmt: skip
"""Words with the same meaning: if one finds nothing, the others are tried."""

_IRREGULAR = {
    "people": "person", "persons": "person", "men": "man", "women": "woman", "gentlemen": "gentleman",
    "policemen": "policeman", "policewomen": "policewoman", "firemen": "fireman", "children": "child", "mice": "mouse",
    "geese": "goose", "feet": "foot", "teeth": "tooth", "knives": "knife", "leaves": "leaf", "wolves": "wolf",
    "loaves": "loaf", "shelves": "shelf", "scarves": "scarf", "cacti": "cactus", "oxen": "ox", "dice": "die",
}  # fmt: skip
_UNCHANGED = {
    "fish", "sheep", "deer", "glasses", "scissors", "trousers", "jeans", "aircraft", "pants", "shorts", "lens",
}  # fmt: skip
_PLURAL = re.compile(r"(?:(?P<y>\w+)ies|(?P<es>\w+(?:ch|sh|ss|x|zz|(?<!o)us|o))es|(?P<s>\w+[^sui])s)$")
_KEEPS_E = {"shoes", "canoes", "hoes", "toes", "axes"}
_IES = {"movies", "cookies", "zombies", "pies", "ties", "selfies", "hoodies"}


def singular(word: str) -> str:
    """The singular of a noun. Any other word is returned unchanged."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _UNCHANGED or len(word) < 4:
        return word
    if word in _KEEPS_E or word in _IES:
        return word[:-1]
    found = _PLURAL.match(word)
    if not found:
        return word
    return found["y"] + "y" if found["y"] else found["es"] or found["s"]


def is_plural(word: str) -> bool:
    """Whether a noun is certainly plural."""
    return singular(word) != word


def synonyms(noun: str) -> tuple[str, ...]:
    """Synonyms of a noun."""
    return tuple(word for group in SYNONYMS if noun in group for word in group if word != noun)


OWN_SIDE = {
    "hand", "arm", "leg", "foot", "eye", "ear", "knee", "elbow", "shoulder", "shoe", "boot", "sock", "glove", "sleeve",
    "wing", "lip", "body", "hat",
}  # fmt: skip
"""Nouns for which a side is part of the name: a left hand, or a top hat, may be anywhere in the image."""

LEAD_IN = re.compile(
    r"^(?:(?:please|can you|could you|would you|i want(?: to see)?|i need|show(?: me)?|find(?: me)?|segment(?: out)?|"
    r"select|mark|highlight|outline|pick(?: out)?|locate|point (?:at|to|out)|give me|get(?: me)?|detect|look for|"
    r"where(?:'s| is| are)|what(?:'s| is| are)|who(?:'s| is| are)|which(?: one)?(?: is| are)?|mask(?: of)?|"
    r"a mask (?:of|for)|masks (?:of|for))\s+)+"
)
TAIL = re.compile(
    r"(?:\s+(?:please|in|of|on)?\s*(?:(?:the|this)\s+)?(?:picture|image|photo|photograph|scene|frame)|\s+please)$"
)
