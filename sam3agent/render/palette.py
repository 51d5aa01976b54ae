"""Distinct colours for mask ids, so that a mask has the same colour throughout a question."""

import colorsys

RGB = tuple[int, int, int]

PALETTE: tuple[RGB, ...] = (
    (255, 87, 51),
    (0, 168, 232),
    (255, 195, 0),
    (155, 81, 224),
    (46, 204, 113),
    (255, 64, 160),
    (0, 201, 183),
    (255, 140, 26),
    (66, 103, 255),
    (163, 217, 0),
    (214, 69, 65),
    (122, 201, 255),
)
"""Vivid colours, ordered so that neighbours differ most."""

_GOLDEN_ANGLE = 0.381966


def colour_of(mask_id: int) -> RGB:
    """The colour of an id: from the palette, then hues that are a golden angle apart."""
    index = mask_id - 1
    if 0 <= index < len(PALETTE):
        return PALETTE[index]
    red, green, blue = colorsys.hls_to_rgb(index * _GOLDEN_ANGLE % 1.0, 0.45 + 0.2 * (index % 2), 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


def ink_on(colour: RGB) -> RGB:
    """Black or white, whichever is easier to read on a colour."""
    red, green, blue = colour
    return (20, 20, 20) if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else (255, 255, 255)
