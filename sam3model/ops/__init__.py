"""Functions on boxes, masks, pictures and positions: no parameters, no state."""
