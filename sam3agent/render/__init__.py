"""Images for people and models: numbered overlays, spotlights and zoomed crops."""

from sam3agent.render.captions import captioned
from sam3agent.render.labels import LabelPlaces
from sam3agent.render.marks import Mark, best_marks, overlay, spotlight
from sam3agent.render.zoom import fit, fitted_size, locate, zoom

__all__ = [
    "LabelPlaces",
    "Mark",
    "best_marks",
    "captioned",
    "fit",
    "fitted_size",
    "locate",
    "overlay",
    "spotlight",
    "zoom",
]
