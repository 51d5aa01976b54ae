"""Chance that is the same for the same question: two policies that ask the same thing meet the same luck."""

import hashlib


def luck(*key: object) -> float:
    """A uniform number in [0, 1), always the same for a key."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
