"""What can go wrong between the agent and an MLLM; every message is one sentence that says what to do."""

from sam3model.errors import Sam3Error


class MLLMError(Sam3Error):
    """Base of all errors of a backend: the only kind of exception that leaves one.

    fatal: asking again cannot help. At the first call of a question it fails the run; later it ends it as exhausted.
    """

    fatal = False


class MLLMUnreachable(MLLMError):
    """No server answers at the address, or the connection breaks each time."""

    fatal = True


class MLLMTimeout(MLLMError):
    """The server took longer than it was given, or its reply had no end."""


class MLLMBusy(MLLMError):
    """The server keeps answering that it is overloaded or broken (429, 5xx)."""


class MLLMKeyRefused(MLLMError):
    """The server does not accept the key."""

    fatal = True


class MLLMUnknownModel(MLLMError):
    """The server has no model of that name, or there is no such service at the address."""

    fatal = True


class MLLMContextTooLong(MLLMError):
    """The conversation does not fit the model's context."""


class MLLMRejected(MLLMError):
    """The server understood the request and will not serve it (another 4xx)."""


class MLLMBadReply(MLLMError):
    """A reply came, and it is no chat completion: not JSON, empty, or without choices."""
