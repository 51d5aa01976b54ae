"""All text that is sent to a model: templates in `prompts/` (in a wheel: `sam3agent/_prompts`)."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3model.errors import Sam3Error

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDERS = (Path(__file__).parent / "_prompts", Path(__file__).parent.parent / "prompts")


def render(name: str, **values: Any) -> str:
    """The template `prompts/NAME.md` with the given values. Raises `jinja2.UndefinedError` if a value is missing."""
    return _environment().get_template(f"{name}.md").render(values).strip()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    if folder is None:
        raise Sam3Error("the folder with the prompts is missing; reinstall sam3agent, or run from a complete checkout")
    return Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
