"""What hosts show to their model of a reply, and the reply that fits: the one table of what is known about clients."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from sam3model.errors import InputError

REPLY_BYTES = 900_000
"""Maximum size of a reply, images in base64 included. One host refuses replies above 1 MiB."""


@dataclass(frozen=True, slots=True)
class ReplyProfile:
    """How a reply is written for a host.

    structured: send structured content beside text and images. images: send images. max_images: of more images, one
    contact sheet is made. max_side: longest side of an image in pixels. max_bytes: size of the whole reply.
    patience_s: how long a call may take before a job id is sent in place of the result.
    """

    name: str
    structured: bool = True
    images: bool = True
    max_images: int = 2
    max_side: int = 1536
    max_bytes: int = REPLY_BYTES
    patience_s: float = 45.0


PROFILES = {
    profile.name: profile
    for profile in (
        ReplyProfile("full"),
        ReplyProfile("content", structured=False),
        ReplyProfile("small", structured=False, max_images=1, max_side=768, max_bytes=200_000),
        ReplyProfile("words", images=False),
    )
}
"""full: text, images and structured content, which repeats the words and names the files of the images. content: text
and images alone, for hosts that would show their model the structured content in place of them. small: the same for
models with little room. words: no images; their files are named."""

DEFAULT = PROFILES["full"]


@dataclass(frozen=True, slots=True)
class ClientTraits:
    """What a client says about itself: its name and version, and the protocol version it speaks."""

    name: str = ""
    version: str = ""
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class _ClientRule:
    """The profile of clients whose name matches a pattern. before: only versions below this one."""

    pattern: str
    profile: str
    before: tuple[int, ...] = ()

    def fits(self, client: ClientTraits) -> bool:
        if not fnmatchcase(client.name.lower(), self.pattern):
            return False
        return not self.before or _numbers(client.version) < self.before


CLIENT_RULES = (
    # These hand the structured content to the model in place of text and images.
    _ClientRule("claude-code*", "content"),
    _ClientRule("codex*", "content"),
    # Everything else: text and images reach the model, and structured content does no harm.
    _ClientRule("*", "full"),
)
"""The first rule that fits decides."""

STRUCTURED_SINCE = "2025-06-18"
"""The first protocol version with structured content."""


def choose_profile(client: ClientTraits, forced: str | None = None) -> ReplyProfile:
    """The profile for a client; `forced` is one chosen by name. Raises `InputError` if there is none of that name."""
    if forced is not None:
        if forced not in PROFILES:
            raise InputError(f"there is no host profile {forced!r}; choose one of {', '.join(PROFILES)}")
        return PROFILES[forced]
    if client.protocol and client.protocol < STRUCTURED_SINCE:
        return PROFILES["content"]
    return next((PROFILES[rule.profile] for rule in CLIENT_RULES if rule.fits(client)), DEFAULT)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison: (1, 0, 58) of "1.0.58-beta"."""
    numbers = list[int]()
    for part in version.split("-", maxsplit=1)[0].split("."):
        if not part.isascii() or not part.isdigit():
            break
        numbers.append(int(part[:9]))
    return tuple(numbers)
