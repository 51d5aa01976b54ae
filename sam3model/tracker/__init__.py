"""Follow objects through a clip: memory of earlier frames, how it is written, selected and read."""
