"""The exceptions of this package; every one is a `Sam3Error`, with a one-line message that says what to do."""


class Sam3Error(Exception):
    """Base of all errors raised on purpose by sam3model and sam3agent."""


class ConfigError(Sam3Error):
    """A configuration that cannot be built or validated."""


class CheckpointError(Sam3Error):
    """A weights file that is missing, damaged, gated, or does not fit the model."""


class InputError(Sam3Error):
    """A picture, prompt or other input from the user that cannot be used."""


class OutputError(Sam3Error):
    """A file that cannot be written."""


class DataError(Sam3Error):
    """A data set or annotation file that cannot be read as its format says."""


class TrainingError(Sam3Error):
    """A training run that cannot start or go on."""


class MetricError(Sam3Error):
    """Predictions or ground truth that a metric cannot compare."""
