"""SAM 3 in clean PyTorch: the model, its predictors, losses, data, training and metrics."""

__version__ = "0.1.0"
