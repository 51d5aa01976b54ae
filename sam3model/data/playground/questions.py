"""Questions about a scene with exact answers: position, order, size, nearness, occlusion, exclusion, union, and no match.

NP is a noun phrase of `phrases`: `[small|large] [colour] [striped|dotted] noun`, or `player in COLOUR` / `COLOUR player`
(NPs: its plural). X is an object picked out by an NP that holds for exactly one object. SIDE is left, right, top or bottom;
ORDINAL is first .. fifth; NUMBER is two or three. "of the picture" and a leading "the" are optional variations.

Positions are those of the centre of the box of the visible mask; sizes are visible areas; nearness is the distance of the
two box centres. Every question keeps a margin (`MARGIN` of the picture's side, `AREA_RATIO` between areas), so that two
viewers agree. A is behind B when B hides part of A, and then A's visible box also ends clearly higher than B's.
"""

TEMPLATES: dict[str, tuple[str, ...]] = {
    "plain": ("NP", "the NP", "all NPs", "every NP"),
    "extreme": (
        "leftmost NP",
        "the leftmost NP",
        "the rightmost NP",
        "the topmost NP",
        "the bottommost NP",
        "the NP furthest to the left",
        "the NP furthest to the right",
    ),
    "extreme_group": ("the NUMBER leftmost NPs", "the NUMBER rightmost NPs"),
    "size": ("the largest NP", "the biggest NP", "the smallest NP"),
    "size_group": ("the NUMBER largest NPs", "the NUMBER smallest NPs"),
    "ordinal": ("ORDINAL NP from the left", "the ORDINAL NP from the right", "the ORDINAL NP from the left"),
    "half": (
        "all NPs on the left side",
        "all NPs on the right side",
        "the NPs in the left half of the picture",
        "the NPs in the right half of the picture",
        "all NPs in the top half of the picture",
        "all NPs in the bottom half of the picture",
    ),
    "except_colour": (
        "every NOUN except the one in COLOUR",
        "every NOUN except the COLOUR one",
        "all NOUNS except the COLOUR ones",
        "all NOUNS that are not COLOUR",
    ),
    "except_extreme": ("all NPs except the leftmost one", "every NP but the rightmost one"),
    "behind": ("the NP behind the X",),
    "front": ("the NP in front of the X",),
    "nearest": ("the NP closest to the X", "the NP nearest to the X"),
    "farthest": ("the NP farthest from the X",),
    "relation": (
        "all NPs to the left of the X",
        "all NPs to the right of the X",
        "all NPs above the X",
        "all NPs below the X",
    ),
    "union": ("the X and the X", "all NPs and all NPs"),
    "none:colour": ("any position, size or plain template with an NP whose colour is absent",),
    "none:noun": ("any position, size or plain template with an absent NOUN",),
    "none:ordinal": ("the ORDINAL NP from the left, with fewer NPs than that",),
    "none:half": ("all NPs on the left side, with none there",),
    "none:anchor": ("the NP closest to the X, with no X", "the NP behind the X, with no X"),
}
