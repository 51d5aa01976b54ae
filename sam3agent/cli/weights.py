"""`sam3agent weights info` and `weights convert`."""

from pathlib import Path

from sam3agent.cli.screen import say, say_json
from sam3model.errors import InputError

LAYOUTS = ("native", "official", "transformers")


def run_info(name: str, *, as_json: bool) -> None:
    """Load the weights and say what they hold."""
    from sam3model.checkpoint import load_with_report

    model, report = load_with_report(name)
    config = model.config
    value = {
        "source": report.source,
        "layout": report.layout.value,
        "parameters": sum(p.numel() for p in model.parameters()),
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "image_size": config.vit.image_size,
        "loaded": report.loaded,
        "tracker": report.tracker,
        "recomputed": report.recomputed,
        "absent": list(report.absent),
        "metadata": {key: text for key, text in report.metadata.items() if key != "config"},
    }
    if as_json:
        say_json(value)
        return
    say(str(report))
    say(f"{value['parameters'] / 1e6:.1f} M parameters in {value['dtype']}, pictures at {value['image_size']} pixels")
    for key, text in report.metadata.items():
        if key != "config":
            say(f"  {key}: {text[:200]}")


def run_convert(source: str, target: Path, layout: str) -> None:
    """Load in any layout, write in another."""
    if layout not in LAYOUTS:
        raise InputError(f"there is no layout {layout!r}: use {', '.join(LAYOUTS)}")
    from sam3model import checkpoint

    model, report = checkpoint.load_with_report(source)
    write = {
        "native": checkpoint.save_native,
        "official": checkpoint.save_official,
        "transformers": checkpoint.save_transformers,
    }[layout]
    target.parent.mkdir(parents=True, exist_ok=True)
    write(model, target)
    say(f"{report.source} ({report.layout.value}) written to {target} ({layout})")
