"""Building blocks that the parts of the model share."""
