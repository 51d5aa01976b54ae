"""Files that travel with the package: in a wheel under `sam3model/_assets`, in a checkout under `assets`."""

from pathlib import Path

from sam3model.errors import Sam3Error

_PACKAGED = Path(__file__).parent / "_assets"
_CHECKOUT = Path(__file__).parent.parent / "assets"

TINY_WEIGHTS = "sam3-tiny.safetensors"
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


def asset(name: str) -> Path:
    """Path of a shipped file, such as `asset(VOCABULARY)`.

    Raises:
        Sam3Error: the file is in neither place.
    """
    for folder in (_PACKAGED, _CHECKOUT):
        if (folder / name).is_file():
            return folder / name
    raise Sam3Error(f"the shipped file {name!r} is missing: reinstall sam3agent, or run from a complete checkout")
