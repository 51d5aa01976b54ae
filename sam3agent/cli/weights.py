"""What the commands of `sam3agent weights` do."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sam3agent.cli.screen import say, say_json
from sam3model.errors import ConfigError, InputError

LAYOUTS = {"native": ".safetensors", "official": ".pt", "transformers": None}
"""File suffix of each layout; None for a folder."""


def run_info(name: str, *, as_json: bool) -> None:
    """Load all parts of weights and print what they contain."""
    from sam3model.checkpoint import load_with_report

    model, report = load_with_report(name, parts=None)
    config = model.config.detector
    value = {
        "source": report.source,
        "layout": report.layout.value,
        "parts": list(report.parts),
        "parameters": sum(p.numel() for p in model.parameters()),
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "image_size": config.vit.image_size,
        "loaded": report.loaded,
        "tracker": report.unused,
        "recomputed": report.recomputed,
        "absent": list(report.absent),
        "metadata": _extra_metadata(report.metadata),
    }
    if as_json:
        say_json(value)
        return
    say(str(report))
    say(f"parts: {', '.join(report.parts)}")
    say(f"{value['parameters'] / 1e6:.1f} M parameters in {value['dtype']}, image size {value['image_size']} pixels")
    for key, text in _extra_metadata(report.metadata).items():
        say(f"  {key}: {text[:200]}{'…' if len(text) > 200 else ''}")


def run_convert(source: str, target: Path, layout: str, detector: str | None = None) -> None:
    """Load all parts of weights in any layout and write them in the given one.

    detector: weights whose detector is used with the other parts of `source`, which may have no detector of its own.

    Raises:
        InputError: the target does not fit the layout.
        ConfigError: the layout cannot express the model.
    """
    if layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}; use one of {', '.join(LAYOUTS)}")
    _check_suffix(target, layout)
    from sam3model import checkpoint
    from sam3model.checkpoint.known_losses import known_losses

    model, report = checkpoint.load_with_report(source, parts=None, detector=detector)
    try:
        match layout:
            case "native":
                checkpoint.save_native(model, target, metadata=_extra_metadata(report.metadata))
            case "official":
                checkpoint.save_official(model, target)
            case _:
                checkpoint.save_transformers(model, target)
    except ConfigError as error:
        others = " or ".join(name for name in LAYOUTS if name != layout)
        reason = str(error).removesuffix(": use another layout")
        raise ConfigError(
            f"{source} cannot be written in the {layout} layout: {reason}; use --layout {others}"
        ) from error
    say(f"converted {report.source} ({report.layout.value}) to {target} ({layout})")
    for line in known_losses(source):
        say(f"warning: {line}")


def run_average(before: str, after: str, target: Path, share: float, keep: Sequence[str]) -> None:
    """Write the average of two sets of weights in our own layout; the file records what it was made of.

    Raises:
        InputError: the target has another suffix.
        ConfigError: as `average_into`.
    """
    _check_suffix(target, "native")
    from sam3model.averaging import average_into
    from sam3model.checkpoint import load, load_with_report, save_native

    model, report = load_with_report(after, parts=None)
    average_into(model, load(before, parts=None), share, keep)
    made_of = {"before": Path(before).name, "after": Path(after).name, "share": share, "keep": list(keep)}
    save_native(model, target, metadata={**_extra_metadata(report.metadata), "average": json.dumps(made_of)})
    say(f"{target}: {share:.0%} of {after}, {1 - share:.0%} of {before}")


def _check_suffix(target: Path, layout: str) -> None:
    suffix = LAYOUTS[layout]
    if suffix is not None and target.suffix != suffix:
        raise InputError(f"the target {target} must end in {suffix} ({layout} layout)")


def _extra_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata other than format and configuration, e.g. a training record."""
    from sam3model.checkpoint.header import HEADER_FIELDS

    return {key: text for key, text in metadata.items() if key not in HEADER_FIELDS}
