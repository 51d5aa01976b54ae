"""Exceptions of this package. All are `Sam3Error`s with a one-line message that says what to do."""


class Sam3Error(Exception):
    """Base class of the errors that sam3model and sam3agent raise."""


class ConfigError(Sam3Error):
    """An invalid configuration, or one that cannot be built."""


class CheckpointError(Sam3Error):
    """A weights file that is missing, damaged or gated, or that does not fit the model."""


class InputError(Sam3Error):
    """An image, prompt or other user input that cannot be used."""


class OutputError(Sam3Error):
    """A file that cannot be written."""


class DataError(Sam3Error):
    """A data set or annotation file that does not follow its format."""


class TrainingError(Sam3Error):
    """A training run that cannot start or continue."""


class MetricError(Sam3Error):
    """Predictions or ground truth that a metric cannot compare."""
