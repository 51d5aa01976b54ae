"""Scorers: samples and predictions in, figures out; thin layers over `sam3model.metrics`."""
