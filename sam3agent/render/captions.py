"""A few words below an image, on a band of their own."""

from PIL import Image, ImageDraw, ImageFont

from sam3agent.render.labels import text_height

PAPER, INK = (24, 24, 27), (244, 244, 245)
MAX_LINES = 3

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def captioned(image: Image.Image, text: str) -> Image.Image:
    """A copy of the image, dimmed, with a text on a band below it, on at most `MAX_LINES` lines."""
    height = max(11, min(round(1.4 * text_height(image.size)), image.width // 14))
    font, margin = ImageFont.load_default(height), height // 2
    lines = _wrapped(text.split(), font, image.width - 2 * margin)
    step = round(height * 1.35)
    canvas = Image.new("RGB", (image.width, image.height + len(lines) * step + 2 * margin), PAPER)
    canvas.paste(image.point([value * 3 // 5 for value in range(256)] * 3), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        draw.text((margin, image.height + margin + (number + 0.5) * step), line, font=font, fill=INK, anchor="lm")
    return canvas


def _wrapped(words: list[str], font: Font, width: int) -> list[str]:
    """The words on lines of a width in pixels; what does not fit on the last line is cut."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(lines) < MAX_LINES and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [_cut(line, font, width) for line in lines]


def _cut(text: str, font: Font, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    text = text[: 4 * width]
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
