"""Layers shared by the parts of the model."""
