"""Files shipped with the package: in `sam3model/_assets` of a wheel, in `assets` of a checkout."""

from pathlib import Path

from sam3model.errors import Sam3Error

_PACKAGED = Path(__file__).parent / "_assets"
_CHECKOUT = Path(__file__).parent.parent / "assets"

TINY_WEIGHTS = "sam3-tiny.safetensors"
COMMON_NOUNS = "common_nouns.txt"
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


def asset(name: str) -> Path:
    """Path of a shipped file, e.g. `asset(VOCABULARY)`. Raises `Sam3Error` if it is missing."""
    for folder in (_PACKAGED, _CHECKOUT):
        if (folder / name).is_file():
            return folder / name
    raise Sam3Error(f"{name!r} is missing from the installation: reinstall sam3agent, or use a complete checkout")
