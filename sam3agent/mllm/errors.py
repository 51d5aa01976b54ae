"""Errors of MLLM backends. Each message is one line that says what is wrong and what to do."""

from sam3model.errors import Sam3Error


class MLLMError(Sam3Error):
    """Base class of all errors that a backend raises.

    fatal: whether a retry cannot help. In the first call the question fails; a later call ends it as exhausted, unless
    it was only one more look at a selection.
    """

    fatal = False


def without_origin(error: MLLMError) -> MLLMError:
    """The error without what it came from: those frames hold images and features, in circles that are freed late."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


class MLLMUnreachableError(MLLMError):
    """The server cannot be reached, or the in-process model cannot be loaded."""

    fatal = True


class MLLMDisconnectedError(MLLMError):
    """The connection broke on every attempt."""


class MLLMTimeoutError(MLLMError):
    """The server did not finish a reply in time, or the reply exceeded the maximum size."""


class MLLMBusyError(MLLMError):
    """The server reported on every attempt that it is overloaded or failing (429, 5xx)."""


class MLLMBadReplyError(MLLMError):
    """The response is not a chat completion: not JSON, not an object, or an error object."""


class MLLMKeyRefusedError(MLLMError):
    """The server rejected the API key."""

    fatal = True


class MLLMUnknownModelError(MLLMError):
    """The server does not have the model, or the URL is not that of a chat completions API."""

    fatal = True


class MLLMContextError(MLLMError):
    """The conversation exceeds the context length of the model."""

    fatal = True


class MLLMRejectedError(MLLMError):
    """The request was rejected for another reason (any other 4xx), or could not be sent."""

    fatal = True


class MLLMCannotSeeError(MLLMError):
    """The model does not take images."""

    fatal = True
