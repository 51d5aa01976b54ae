"""Draws a certificate: bars before and after for every ability, and the foreign nouns with the highest scores."""

from pathlib import Path

from PIL import Image, ImageDraw

from sam3model.files import replacing
from sam3model.training.certificate import Certificate, CertificateFigures

_BEFORE, _AFTER, _GRID, _TEXT = (150, 150, 150), (30, 110, 200), (225, 225, 225), (20, 20, 20)
_BAD = (200, 40, 30)
_WIDTH, _LEFT, _BAR, _LINE = 900, 330, 12, 34
Rows = list[tuple[str, float | None, float | None]]
"""Labels with the values before and after."""

_ABILITIES = (
    ("own_classes", "own classes found"),
    ("foreign_nouns", "foreign nouns left unanswered"),
    ("contrast", "contrast between colours of a class"),
    ("old_domain", "old domain: cgF1 on drawn scenes"),
)
_NOUNS = 8


def save_chart(certificate: Certificate, path: Path) -> None:
    """Write the chart as PNG, atomically. Raises `OutputError`."""
    with replacing(path) as temporary:
        draw_chart(certificate).save(temporary, format="PNG")


def draw_chart(certificate: Certificate) -> Image.Image:
    """The chart, 900 pixels wide."""
    before, after = certificate.before, certificate.after
    groups: list[tuple[str, Rows]] = [("Abilities", _abilities(before, after))]
    worst = sorted(after.nouns, key=lambda noun: -after.nouns[noun])[:_NOUNS]
    nouns: Rows = [(noun, before.nouns.get(noun), after.nouns[noun]) for noun in worst]
    groups.append((f"Foreign nouns: the {len(worst)} of {len(after.nouns)} with the highest scores", nouns))
    for name, colours in after.colours.items():
        old = before.colours.get(name, {})
        rows: Rows = [(f"{colour} {name}", old.get(colour), score) for colour, score in colours.items()]
        groups.append((f"{name}: mean score when asked for in a colour", rows))
    lost = certificate.lost() or ("nothing fell",)
    height = 70 + 18 * len(lost) + sum(30 + _LINE * len(rows) for _, rows in groups)
    sheet = Image.new("RGB", (_WIDTH, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((16, 12), f"{certificate.weights}, from {certificate.start}"[:110], fill=_TEXT, font_size=16)
    legend = f"grey: before   blue: after   from 0 to 1; a score of {certificate.threshold:g} counts as found"
    pen.text((16, 36), legend, fill=_TEXT, font_size=13)
    y = 60
    for line in lost:
        pen.text((16, y), line[:120], fill=_BAD if certificate.lost() else _TEXT, font_size=13)
        y += 18
    for title, rows in groups:
        pen.text((16, y + 8), title[:90], fill=_TEXT, font_size=14)
        y += 30
        for label, *values in rows:
            _draw_row(pen, y, label, values)
            y += _LINE
    return sheet


def _abilities(before: CertificateFigures, after: CertificateFigures) -> Rows:
    return [(label, getattr(before, name), getattr(after, name)) for name, label in _ABILITIES]


def _draw_row(pen: ImageDraw.ImageDraw, y: int, label: str, values: list[float | None]) -> None:
    """A label with its two bars; a value that does not apply has none."""
    width = _WIDTH - _LEFT - 70
    pen.text((24, y + 5), label[:44], fill=_TEXT, font_size=13)
    pen.line((_LEFT, y, _LEFT, y + 2 * _BAR), fill=_GRID)
    for row, (value, colour) in enumerate(zip(values, (_BEFORE, _AFTER), strict=True)):
        top = y + row * _BAR
        if value is not None:
            length = round(width * min(max(value, 0.0), 1.0))
            pen.rectangle((_LEFT, top, _LEFT + length, top + _BAR - 2), fill=colour)
        text = "not asked" if value is None else f"{value:.2f}"
        pen.text((_LEFT + width + 8, top - 2), text, fill=_TEXT, font_size=11)
