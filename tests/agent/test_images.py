"""Opening images, rendering masks on them, and facts about masks."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.images import open_image
from sam3agent.masks import Mask, Masklet
from sam3agent.media import ImageMedia
from sam3agent.pool import MaskPool, masklets
from sam3agent.render import Mark, fit, locate, overlay, spotlight, zoom
from sam3agent.render.labels import place
from sam3agent.render.palette import colour_of
from sam3agent.tools.mask_facts import mask_colours, measure
from sam3agent.workbench import Workbench
from sam3model.errors import InputError
from tests.agent.world import RGB, World

RED = (200, 30, 30)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = open_image(encoded(Image.new("RGB", (40, 20), RED), "JPEG", exif=exif))
    assert opened.size == (20, 40)


def test_transparency_becomes_white() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert open_image(encoded(clear, "PNG")).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, *RED])
    assert open_image(encoded(palette, "PNG")).getpixel((0, 0)) == RED
    assert open_image(encoded(palette, "PNG", transparency=1)).getpixel((0, 0)) == (255, 255, 255)


def test_16_bit_images_keep_their_scale() -> None:
    ramp = Image.fromarray(np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8))
    values = np.asarray(open_image(encoded(ramp, "PNG")))
    assert values[0, 0].tolist() == [0, 0, 0] and values[-1, -1].tolist() == [255, 255, 255]
    assert abs(int(values[3, 7, 0]) - 124) <= 2


@pytest.mark.parametrize(
    ("mode", "kind"), [("CMYK", "JPEG"), ("L", "PNG"), ("1", "PNG"), ("LA", "PNG"), ("RGB", "WEBP"), ("F", "TIFF")]
)
def test_every_mode_becomes_rgb(mode: str, kind: str) -> None:
    opened = open_image(encoded(Image.new(mode, (6, 5)), kind))
    assert opened.mode == "RGB" and opened.size == (6, 5)


def test_a_panorama_opens_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "pano räma.png"
    Image.new("L", (12_000, 40)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(path).size == (12_000, 40)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello, I am no image", "not an image"),
        (encoded(Image.effect_noise((64, 64), 50), "PNG")[:600], "damaged"),
        (encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")[:700], "damaged"),
        (encoded(Image.new("1", (30_000, 20_000)), "PNG"), "million"),
    ],
)
def test_an_invalid_image_gives_a_one_line_error(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_image(data)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        open_image(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="folder"):
        open_image(tmp_path)


def disc(x: int, y: int, radius: int, size: tuple[int, int] = (200, 120)) -> Mask:
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    mask = Mask.from_full((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)
    assert mask is not None
    return mask


def test_an_overlay_changes_only_pixels_near_the_mask() -> None:
    image = Image.new("RGB", (200, 120), (90, 90, 90))
    drawn = np.asarray(overlay(image, [Mark(1, disc(60, 60, 25))], numbers=False))
    assert (drawn[:, 100:] == 90).all()
    assert np.abs(drawn[60, 60].astype(int) - (90 + 0.34 * (np.array(colour_of(1)) - 90))).max() <= 2
    assert (np.asarray(image) == 90).all()


def test_a_spotlight_dims_the_rest() -> None:
    drawn = np.asarray(spotlight(Image.new("RGB", (200, 120), (200, 200, 200)), [Mark(1, disc(60, 60, 25))]))
    assert (drawn[5, 190] == 100).all() and drawn[75, 60].min() > 150


def test_colours_of_ids_are_distinct_and_stable() -> None:
    colours = [colour_of(mask_id) for mask_id in range(1, 41)]
    assert len(set(colours)) == 40 and colours[0] == colour_of(1)


def test_labels_do_not_overlap_and_stay_inside_the_image() -> None:
    masks = [disc(20 + 12 * i, 30 + 7 * (i % 3), 8) for i in range(12)]
    spots = place(masks, [(18, 14)] * 12, (200, 120))
    assert all(min(spot) >= 0 and spot[2] <= 200 and spot[3] <= 120 for spot in spots)
    overlaps = sum(
        a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for i, a in enumerate(spots) for b in spots[:i]
    )
    assert overlaps <= 1


def test_zoom_enlarges_the_mask_and_locate_shows_the_whole_image() -> None:
    world = World()
    mask = Mask.from_full(world.masks[4])
    assert mask is not None
    close = zoom(world.image, Mark(1, mask), side=320)
    assert max(close.size) == 320
    assert close.getpixel((close.width // 2, close.height // 2)) == RGB["yellow"]
    assert locate(world.image, Mark(1, mask)).size == world.image.size


def test_a_tiny_mask_survives_downscaling() -> None:
    full = np.zeros((400, 4000), bool)
    full[7, 11] = True
    mask = Mask.from_full(full)
    assert mask is not None
    small, (mark,) = fit(Image.new("RGB", (4000, 400)), (Mark(1, mask),), 500)
    assert small.size == (500, 50) and mark.mask.area >= 1


def test_facts_contain_ranks_places_and_colours() -> None:
    world = World()
    media = ImageMedia(world.image)
    pool, _ = MaskPool().add("player", masklets(world.segment_phrases(["player"])[0]))
    facts = {f.id: f for f in measure(Workbench(media, world.open(media)), pool.candidates)}
    assert [facts[i].from_left for i in (1, 2, 3)] == [1, 3, 2]
    assert facts[3].colours == {"blue": 1.0}
    assert facts[1].place == "middle left"


@pytest.mark.parametrize("name", list(RGB))
def test_colour_names(name: str) -> None:
    media = ImageMedia(Image.fromarray(np.full((9, 9, 3), RGB[name], np.uint8)))
    mask = Mask.from_full(np.ones((9, 9), bool))
    assert mask is not None
    (candidate,) = MaskPool().add("it", [(Masklet.of(mask), 0.9)])[0].candidates
    assert mask_colours(Workbench(media, World().open(media)), candidate) == {name: 1.0}


def test_only_the_pixels_of_a_mask_are_copied_to_name_its_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred masks of a large image would otherwise copy it a hundred times."""
    copied = list[int]()
    whole = Image.Image.tobytes
    monkeypatch.setattr(
        Image.Image, "tobytes", lambda self, *a: copied.append(self.width * self.height) or whole(self, *a)
    )
    world = World()
    media = ImageMedia(world.image)
    pool, _ = MaskPool().add("player", masklets(world.segment_phrases(["player"])[0]))
    measure(Workbench(media, world.open(media)), pool.candidates)
    assert copied and max(copied) == 20 * 60
