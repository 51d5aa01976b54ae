"""`sam3agent weights info` and `weights convert`."""

from collections.abc import Mapping
from pathlib import Path

from sam3agent.cli.screen import say, say_json
from sam3model.errors import InputError

LAYOUTS = {"native": ".safetensors", "official": ".pt", "transformers": None}
"""How the files of each layout end; transformers' is a folder."""


def run_info(name: str, *, as_json: bool) -> None:
    """Load the weights and say what they hold."""
    from sam3model.checkpoint import load_with_report

    model, report = load_with_report(name)
    config = model.config.detector
    value = {
        "source": report.source,
        "layout": report.layout.value,
        "parameters": sum(p.numel() for p in model.parameters()),
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "image_size": config.vit.image_size,
        "loaded": report.loaded,
        "tracker": report.unused,
        "recomputed": report.recomputed,
        "absent": list(report.absent),
        "metadata": _further(report.metadata),
    }
    if as_json:
        say_json(value)
        return
    say(str(report))
    say(f"{value['parameters'] / 1e6:.1f} M parameters in {value['dtype']}, pictures at {value['image_size']} pixels")
    for key, text in _further(report.metadata).items():
        say(f"  {key}: {text[:200]}")


def run_convert(source: str, target: Path, layout: str) -> None:
    """Load in any layout, write in another."""
    if layout not in LAYOUTS:
        raise InputError(f"there is no layout {layout!r}: use {', '.join(LAYOUTS)}")
    suffix = LAYOUTS[layout]
    if suffix is not None and target.suffix != suffix:
        raise InputError(f"{target} could not be loaded again: a file of the {layout} layout ends in {suffix}")
    from sam3model import checkpoint

    model, report = checkpoint.load_with_report(source)
    match layout:
        case "native":
            checkpoint.save_native(model, target, metadata=_further(report.metadata))
        case "official":
            checkpoint.save_official(model, target)
        case _:
            checkpoint.save_transformers(model, target)
    say(f"{report.source} ({report.layout.value}) written to {target} ({layout})")


def _further(metadata: Mapping[str, str]) -> dict[str, str]:
    """What a file's header says beyond its layout and sizes, such as a training record."""
    from sam3model.checkpoint.header import HEADER_FIELDS

    return {key: text for key, text in metadata.items() if key not in HEADER_FIELDS}
