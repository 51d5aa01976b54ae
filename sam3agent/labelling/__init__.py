"""Labelling at scale: many images, several workers, and data sets in the formats of other tools (docs/scale.md)."""
