"""Everyday colour names for the pixels of a mask."""

import numpy as np

NAMES = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")

_HUE_EDGES = np.array([14, 40, 70, 165, 190, 255, 290, 335])
"""Hues in degrees at which the name changes."""
_HUE_NAMES = np.array(
    [NAMES.index(n) for n in ("red", "orange", "yellow", "green", "green", "blue", "purple", "pink", "red")]
)


def colour_ratios(pixels: np.ndarray) -> dict[str, float]:
    """Name -> fraction of the pixels (n, 3) uint8, largest first; colours below 2 % are left out."""
    counts = np.bincount(name_pixels(pixels), minlength=len(NAMES))
    ratios = counts / max(1, counts.sum())
    order = np.argsort(-ratios, kind="stable")
    return {NAMES[i]: float(ratios[i]) for i in order if ratios[i] >= 0.02}


def name_pixels(pixels: np.ndarray) -> np.ndarray:
    """Index into `NAMES` for each pixel of (n, 3) uint8."""
    values = pixels.astype(np.float32) / 255
    top, bottom = values.max(1), values.min(1)
    chroma = top - bottom
    saturation = np.where(top > 0, chroma / np.maximum(top, 1e-6), 0)
    hue = _hue(values, top, chroma)
    names = _HUE_NAMES[np.searchsorted(_HUE_EDGES, hue, side="right")]
    brown = (names == NAMES.index("orange")) & (top < 0.72) | (names == NAMES.index("red")) & (hue < 90) & (top < 0.45)
    names = np.where(brown | (names == NAMES.index("yellow")) & (top < 0.45), NAMES.index("brown"), names)
    pale_red = np.isin(names, (NAMES.index("red"), NAMES.index("orange"))) & (saturation < 0.45) & (top > 0.75)
    names = np.where(pale_red & ((hue > 330) | (hue < 20)), NAMES.index("pink"), names)
    names = np.where((saturation < 0.16) | (chroma < 0.07), NAMES.index("grey"), names)
    names = np.where((names == NAMES.index("grey")) & (top > 0.8), NAMES.index("white"), names)
    return np.where(top < 0.2, NAMES.index("black"), names)


def _hue(values: np.ndarray, top: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Hue in degrees, 0..360, for (n, 3) RGB values in 0..1."""
    red, green, blue = values[:, 0], values[:, 1], values[:, 2]
    safe = np.maximum(chroma, 1e-6)
    sector = np.where(
        top == red, (green - blue) / safe % 6, np.where(top == green, (blue - red) / safe + 2, (red - green) / safe + 4)
    )
    return sector * 60
