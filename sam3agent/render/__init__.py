"""Images for people and models: numbered overlays, spotlights and zoomed crops."""

from sam3agent.render.marks import Mark, best_marks, overlay, spotlight
from sam3agent.render.zoom import fit, locate, zoom

__all__ = ["Mark", "best_marks", "fit", "locate", "overlay", "spotlight", "zoom"]
