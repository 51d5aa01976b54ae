"""Exceptions of this package. All are `Sam3Error`s with a one-line message that says what to do."""

from sam3model.printable import short_line

MAX_MESSAGE = 1200
"""Maximum length of a message in characters."""


class Sam3Error(Exception):
    """Base class of the errors that sam3model and sam3agent raise.

    The message may quote files, settings and servers. As text it is one line of at most `MAX_MESSAGE` characters that
    is safe to print; a longer one lacks its middle, since the end says what to do. `args` hold what was given.
    """

    def __str__(self) -> str:
        return short_line(super().__str__(), MAX_MESSAGE)


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


def reason_of(error: BaseException) -> str:
    """What went wrong, on one line: the words of the system, the first line of the message, or the kind of error."""
    stated = getattr(error, "strerror", None) or str(error)
    return next(iter(str(stated).splitlines()), "") or type(error).__name__
