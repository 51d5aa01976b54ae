"""The page of a view: the files of the studio's page in one HTML document, because hosts load nothing else for it.

Its modules become functions in one script, in the order of their imports. `view_api.js` takes the place of `api.js`.
"""

import re
from functools import cache
from pathlib import Path

from sam3agent.servers import studio
from sam3model.errors import ConfigError

STUDIO_PAGE = Path(studio.__file__).parent / "page"

OWN_DOOR = Path(__file__).parent / "view_api.js"
"""The page's door to its server, over the host."""

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./([\w]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|function|async function) (\w+))", re.MULTILINE)
_LINK = re.compile(r'^<link rel="(?:icon|stylesheet|modulepreload)".*\n', re.MULTILINE)
_SCRIPT = re.compile(r'^<script type="module" src="page/app\.js"></script>\n', re.MULTILINE)


@cache
def view_page() -> str:
    """The document. Raises `ConfigError` if a file of the page has a form that cannot be put into it."""
    html = (STUDIO_PAGE / "index.html").read_text("utf-8")
    style = (STUDIO_PAGE / "studio.css").read_text("utf-8")
    written = dict[str, str]()
    _add("app", written)
    script = "\n".join(written.values()).replace("</script", "<\\/script")
    head, count = _SCRIPT.subn(lambda _: f'<style>\n{style}</style>\n<script type="module">\n{script}</script>\n', html)
    page = _LINK.sub("", head).replace("<html ", '<html class="small view" ', 1)
    if count != 1 or "page/" in page:
        raise ConfigError("the page of the studio names files that a view cannot load")
    return page


def _add(name: str, written: dict[str, str]) -> None:
    """Write a module after those that it imports."""
    path = OWN_DOOR if name == "api" else STUDIO_PAGE / f"{name}.js"
    text = path.read_text("utf-8")
    for names, other in _IMPORT.findall(text):
        if other not in written:
            _add(other, written)
        known = re.search(r"return \{ ([\w, ]*) \};\n\}\)\(\);$", written[other])
        if not known or not set(names.split(", ")) <= set(known[1].split(", ")):
            raise ConfigError(f"{path.name} imports {names} from {other}.js, which does not export that")
    exports = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub(lambda found: f"const {{ {found[1]} }} = of_{found[2]};\n", text))
    if re.search(r"^(?:import|export)\b", body, re.MULTILINE):
        raise ConfigError(f"{path.name} imports or exports in a form that a view cannot load")
    written[name] = f"const of_{name} = (() => {{\n{body}return {{ {exports} }};\n}})();"
