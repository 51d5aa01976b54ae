"""Scorers turn samples and predictions into figures; thin layers over `sam3model.metrics`."""
