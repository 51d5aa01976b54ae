"""What the certificate beside fine-tuned weights says that they have lost, for those who export them."""

import json
from pathlib import Path

from sam3model.errors import InputError
from sam3model.files import read_regular

CERTIFICATE = "certificate.json"
_MAX_BYTES = 1 << 22


def known_losses(weights: str | Path) -> tuple[str, ...]:
    """The lines of `certificate.json` beside these weights; empty if there is none, or if it is for another file."""
    path = Path(weights)
    try:
        content = json.loads(read_regular(path.with_name(CERTIFICATE), _MAX_BYTES))
    except (InputError, RecursionError, ValueError):  # ValueError: no JSON, or weights without a file name
        return ()
    lost = content.get("lost") if isinstance(content, dict) and content.get("weights") == path.name else None
    return tuple(line for line in lost if isinstance(line, str)) if isinstance(lost, list) else ()
