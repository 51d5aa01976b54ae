"""What can go wrong between the agent and an MLLM; every message is one sentence that says what to do."""

from sam3model.errors import Sam3Error


class MLLMError(Sam3Error):
    """Base of all errors of a backend: the only kind of exception that leaves one.

    fatal: asking again cannot help. At the first call of a question it fails the run; later it ends it as exhausted.
    """

    fatal = False


class MLLMUnreachableError(MLLMError):
    """Nothing answers at the address."""

    fatal = True


class MLLMDisconnectedError(MLLMError):
    """The connection breaks each time."""


class MLLMTimeoutError(MLLMError):
    """The server took longer than it was given, or its reply had no end."""


class MLLMBusyError(MLLMError):
    """The server keeps answering that it is overloaded or broken (429, 5xx)."""


class MLLMBadReplyError(MLLMError):
    """A reply came, and it is no chat completion: not JSON, or not an object."""


class MLLMKeyRefusedError(MLLMError):
    """The server does not accept the key."""

    fatal = True


class MLLMUnknownModelError(MLLMError):
    """The server has no model of that name, or there is no such service at the address."""

    fatal = True


class MLLMContextError(MLLMError):
    """The conversation does not fit the model's context."""

    fatal = True


class MLLMRejectedError(MLLMError):
    """The server understood the request and will not serve it (another 4xx)."""

    fatal = True
