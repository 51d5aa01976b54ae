"""Functions on boxes, masks, images and positions, without parameters or state."""
