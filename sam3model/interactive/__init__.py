"""Heads that turn clicks, boxes and masks into the mask of one object."""
