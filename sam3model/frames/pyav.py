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
