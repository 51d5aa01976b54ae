"""PyAV, imported when a clip is first read or written."""

from types import ModuleType

from sam3model.errors import ConfigError


def import_av() -> ModuleType:
    """The module `av`. Raises `ConfigError` if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            "reading and writing clips needs PyAV, which is not installed: run `pip install av`"
        ) from error
    return av


def failure_reason(error: Exception) -> str:
    """What went wrong in the words of the system or of FFmpeg, on one line."""
    stated = getattr(error, "strerror", None) or str(error)
    return next(iter(str(stated).splitlines()), "") or type(error).__name__
