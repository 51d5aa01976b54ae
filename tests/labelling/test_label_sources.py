"""What can be labelled: images, folders, patterns, clips, COCO files, lists and archives, as streams."""

import io
import json
import tarfile
import time
import tracemalloc
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.labelling.given_once import GivenOnce
from sam3agent.labelling.label_items import ItemReader, LabelItem, WebImage, clean_name
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.label_sources import LabelSources
from sam3model.errors import InputError
from tests.clips import break_packets, write_clip
from tests.labelling.coloured_blocks import draw, draw_folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "photos", 11)
    return tmp_path


def items(*words: str, every: int = 1, out: Path | None = None) -> list[LabelItem]:
    sources = LabelSources(words, every, out)
    sources.check()
    found = list(sources)
    assert found == list(sources), "the order differs from run to run"
    assert len({item.source for item in found}) == len({item.name for item in found}) == len(found)
    return found


def names(*words: str) -> list[str]:
    return [item.name for item in items(*words)]


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 10, 3), seed, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def first_pixel(item: LabelItem) -> int:
    return np.asarray(ItemReader().read(item).media.frame(0))[0, 0, 0].item()


def test_folders_are_read_with_the_folders_inside_them(place: Path) -> None:
    draw(place / "photos" / "more" / "x.png", 1)
    draw(place / "photos" / ".hidden" / "x.png", 1)
    draw(place / "photos" / "out" / "images" / "x.png", 1)
    (place / "photos" / "notes.txt").write_text("no image")
    found = [item.name for item in items("photos", out=place / "photos" / "out")]
    assert found == [*(f"photos/{n}.png" for n in range(11)), "photos/more/x.png"]
    assert names("photos/") == names(str(place / "photos"))


def draw_twins(place: Path, *folders: str) -> None:
    """Two images in each folder whose names differ in their endings only."""
    for folder in folders:
        draw(place / folder / "1.png", 1)
        Image.new("RGB", (8, 8)).save(place / folder / "1.jpg")


def test_names_stay_distinct(place: Path) -> None:
    draw_twins(place, "a/photos", "b/photos")
    draw(place / "more" / "1.png", 1)
    found = names("a/photos", "b/photos", "photos/1.png", "more/1.png")
    stems = [name.rsplit(".", 1)[0] for name in found]
    assert len(set(stems)) == 6, "files beside images have their stems"


def test_names_of_folders_stay_distinct(place: Path) -> None:
    for folder in ("a:b", "a?b", "A_b", "a\\b", "a/b", "a:b/c", "a?b/c", "v1.0", "v1.1"):
        draw(place / "odd" / folder / "x.png", 1)
    draw(place / "odd" / "a" / "b\\x.png", 1)
    for words in (("odd",), ("odd/a:b", "odd/a?b"), ("odd/*b/*.png",), ("odd/a",)):
        found = names(*words)
        assert len({name.lower() for name in found}) == len(found) > 1
    assert {"odd/v1.0/x.png", "odd/v1.1/x.png", "odd/a/b/x.png"} < set(names("odd"))


def test_patterns(place: Path) -> None:
    assert names("photos/*.png") == [f"{n}.png" for n in range(11)]
    assert names("photos/{8..10}.png") == ["8.png", "9.png", "10.png"]
    with pytest.raises(InputError, match="no file matches"):
        items("photos/*.bmp")


def test_patterns_do_not_share_names(place: Path) -> None:
    draw_twins(place, "a", "b")
    draw(place / "c" / "1.png", 1)
    found = names("a/*.png", "b/*", "c/1.png", "a/1.jpg")
    assert len({name.rsplit(".", 1)[0].lower() for name in found}) == len(found) == 5
    assert found[0] == "1.png"


def test_an_image_that_is_given_twice_is_labelled_once(place: Path) -> None:
    draw(place / "photos" / "in" / "x.png", 1)
    draw(place / "photos" / ".hidden" / "x.png", 1)
    draw(place / "elsewhere" / "x.png", 1)
    (place / "photos" / "link").symlink_to(place / "elsewhere")
    everything = {item.source for item in items("photos")}
    assert {item.source for item in items("photos", "photos/*.png", "./photos/in/x.png", "photos/in")} == everything
    inner = items("photos/in", "photos/1.png", "photos")
    assert {item.source for item in inner} == everything and inner[0].name == "in/x.png"
    others = ("photos/link/x.png", "photos/.hidden/x.png")  # going through the folder does not come to them
    assert {item.source for item in items("photos", *others)} == {*everything, *others}
    assert len(items("https://example.org/a.jpg", "https://example.org/a.jpg")) == 1
    rows = [{"id": number, "file_name": f"{number}.png"} for number in range(3)]
    Path("photos/all.json").write_text(json.dumps({"images": rows, "annotations": [], "categories": []}))
    assert len(items("photos/*.png", "photos/all.json")) == 11


def test_what_was_given_is_remembered_in_little_time_and_memory(place: Path) -> None:
    once, paths = GivenOnce(lambda _: False), [f"/nowhere/{'x' * 200}/{number}.png" for number in range(20_000)]
    start = time.process_time()
    assert all(once.is_new_folder(f"/many/{number}") for number in range(3000))
    assert not any(once.is_new_folder(f"/many/{number}/in") for number in range(3000))
    assert time.process_time() - start < 1, "it takes as long as the path is deep, not as there are folders"
    tracemalloc.start()
    assert all(map(once.is_new, paths)) and not any(map(once.is_new, paths))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / len(paths) < 150


def test_urls_are_no_paths(place: Path) -> None:
    url = "https://example.org/a.jpg"
    assert [item.source for item in items(".", url)][-1] == url
    assert len(items("https://e.org/get?u=/a/../b", "https://e.org/get?u=/b")) == 2


def test_passwords_of_urls_are_not_recorded(place: Path) -> None:
    url, shown = "https://me:secret@example.org/a.jpg", "https://example.org/a.jpg"
    Path("list.txt").write_text(f"{url}\nhttps://me:secret@example.org?id=1\n")
    *found, queried = items(url, "list.txt")
    assert queried.name == "list/000000001-example.org.jpg" and "secret" not in queried.source + queried.group
    assert [item.source for item in found] == [shown, f"list.txt#0 {shown}"]
    assert {item.place for item in found} == {WebImage(url)}
    assert LabelJob(Path("out"), (url,), phrases=("dog",)).start["sources"] == [shown]


def test_the_output_folder_is_no_source(place: Path) -> None:
    for out in ("photos", "./photos", str(place / "photos")):
        with pytest.raises(InputError, match=r"--out .*photos would write into the folder photos, which is labelled"):
            items("photos", out=Path(out))
    draw(place / "set" / "images" / "x.png", 1)
    with pytest.raises(InputError, match="choose another"):
        items("set/images", out=Path("set"))
    assert len(items("photos", out=Path("photos/set"))) == len(items("photos/*.png", out=Path("photos"))) == 11
    draw(place / "photos" / "images" / "1.png", 1)  # what the first run wrote
    assert len(items("photos/**/*.png", out=Path("photos"))) == 11


def test_without_images_the_output_folder_may_be_the_source(place: Path) -> None:
    draw(place / "data" / "images" / "x.png", 1)
    draw(place / "data" / "review" / "mine.jpg", 1)
    for written in ("classes/x.png", "instances/images/x.png", "review/page-001.jpg"):
        draw(place / "data" / written, 1)

    def found(*words: str) -> list[str]:
        sources = LabelSources(words, out=Path("data"), images="none")
        sources.check()
        return sorted(item.source for item in sources)

    assert found("data/images") == found("data/images/*.png") == ["data/images/x.png"]
    assert found("data") == found("data/**/*.*g") == ["data/images/x.png", "data/review/mine.jpg"]
    assert len(found(".", "data/images")) == 12, "the walk leaves the output folder out, the word names it"
    with pytest.raises(InputError, match=r"--out data would write into the files that data/images/\*.png matches"):
        items("data/images/*.png", out=Path("data"))


def test_patterns_leave_out_what_runs_wrote(place: Path) -> None:
    for written in ("classes/1.png", "instances/1.png", "images/1.png"):
        draw(place / "photos" / "set" / written, 1)
    draw(place / "photos" / "set" / "review" / "page-001.jpg", 1)
    (place / "linked").symlink_to(place / "photos")
    for pattern in ("photos/**/*.*g", "phot*/**/*.*g", "linked/**/*.*g", str(place / "photos" / "**" / "*.*g")):
        assert len(items(pattern, out=Path("photos/set"))) == 11
    draw(place / "photos" / "set" / "mine" / "1.png", 1)
    found = items("photos/set/**/*.*g", out=Path("photos/set"))
    assert [item.source for item in found] == ["photos/set/mine/1.png"]


def test_lists_of_paths_and_urls(place: Path) -> None:
    (place / "lists").mkdir()
    Path("lists/plain.txt").write_text("../photos/1.png\n\n../photos/2.png\nhttps://example.org/a/b.jpg?size=1\n")
    plain = items("lists/plain.txt")
    assert [item.name for item in plain] == [
        "plain/000000000-1.png",
        "plain/000000002-2.png",
        "plain/000000003-b.jpg",
    ]
    assert ItemReader().read(plain[0]).media.size == (96, 64)
    Path("lists/table.csv").write_text('id,Image_Path,split\n1,"../photos/1.png",a\n2,../photos/missing.png,b\n')
    table = items("lists/table.csv")
    assert [item.source for item in table] == [
        "lists/table.csv#0 ../photos/1.png",
        "lists/table.csv#1 ../photos/missing.png",
    ]
    with pytest.raises(InputError, match="there is no file"):  # an image that fails, not a run
        ItemReader().read(table[1])
    Path("lists/one.csv").write_text("../photos/1.png\n../photos/2.png\n")
    assert len(items("lists/one.csv")) == 2
    Path("lists/other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"has no column image, path, file_name or url; its columns are a, b"):
        items("lists/other.csv")


def test_rows_that_name_the_same_images_are_told_apart(place: Path) -> None:
    write_tar(place / "shard.tar", 2)
    write_clip(place / "clip.mp4", 2)
    Path("rows.txt").write_text("photos\nshard.tar\nclip.mp4\n" * 2)
    found = items("rows.txt", "photos", "shard.tar", "clip.mp4")
    assert len(found) == 3 * (11 + 2 + 2)
    assert found[0].source == "rows.txt#0 photos: photos/0.png"


def test_the_split_of_a_row_does_not_depend_on_its_number(place: Path) -> None:
    rows = ["photos/1.png", "https://example.org/a.jpg", "photos/1.png"]
    Path("rows.txt").write_text("\n".join(rows))
    before = [item.group for item in items("rows.txt")]
    Path("rows.txt").write_text("\n".join(["photos/0.png", *rows]))
    assert [item.group for item in items("rows.txt")][1:] == before
    assert before[0] == before[2] != before[1], "an image is not in two splits"


def test_the_split_of_images_in_rows_does_not_depend_on_their_numbers(place: Path) -> None:
    for name in ("one", "two"):
        (place / name).mkdir()
        write_tar(place / name / "shard.tar", 2)
        write_clip(place / name / "clip.mp4", 2)
    inside = ["photos/", "photos/0.png", "one/shard.tar", "two/shard.tar", "one/clip.mp4", "two/clip.mp4"]
    Path("inner.txt").write_text("\n".join(inside))
    Path("rows.txt").write_text("\n".join([*inside, "inner.txt"]))
    before = [item.group for item in items("rows.txt")]
    assert before[0] == before[11] == "rows/photos/0.png", "an image is not in two splits"
    assert len(set(before)) == 2 * (11 + 2 + 2 + 1 + 1), "folders, archives and clips of one name are told apart"
    Path("inner.txt").write_text("\n".join(["photos/1.png", *inside]))
    Path("rows.txt").write_text("\n".join(["photos/1.png", *inside, "inner.txt"]))
    after = [item.group for item in items("rows.txt")]
    assert set(after) == set(before) and len(after) == len(before) + 2


def test_lists_of_archives(place: Path) -> None:
    write_tar(place / "shard-000.tar", 2)
    Path("shards.txt").write_text("shard-000.tar\n")
    assert [item.name for item in items("shards.txt")] == [f"shards/000000000-shard-000/{n}.png" for n in range(2)]
    Path("loop.txt").write_text("loop.txt\n")
    with pytest.raises(InputError, match="deep"):
        items("loop.txt")


def write_tar(path: Path, count: int, start: int = 0) -> None:
    with tarfile.open(path, "w") as archive:
        for number in range(start, start + count):
            for name, data in ((f"{number}.png", encoded(number)), (f"{number}.json", b"{}")):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def test_webdataset_shards(place: Path) -> None:
    write_tar(place / "shard-000.tar", 3)
    write_tar(place / "shard-001.tar", 2, start=7)
    found = items("shard-{000..001}.tar")
    first = [f"shard-000.tar#{number}.png" for number in range(3)]
    assert [item.source for item in found] == [*first, "shard-001.tar#7.png", "shard-001.tar#8.png"]
    assert [first_pixel(item) for item in found] == [0, 1, 2, 7, 8]
    with tarfile.open(place / "packed.tar.gz", "w:gz") as archive:
        archive.add(place / "photos" / "1.png", "1.png")
    with pytest.raises(InputError, match=r"it is compressed.*unpack it"):
        items("packed.tar.gz")
    (place / "broken.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(InputError, match=r"cannot read broken\.tar"):
        items("broken.tar")


def test_names_in_an_archive_stay_distinct(place: Path) -> None:
    with tarfile.open(place / "set.tar", "w") as archive:
        inside = ("a.png", "a.jpg", "a.png", "../a.png", "b?.png", "b:.png", "x" * 130 + "1.png", "y" * 130 + "1.png")
        for number, name in enumerate(inside):
            data = encoded(number)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    found = items("set.tar")
    assert len({item.name.rsplit(".", 1)[0] for item in found}) == len(found) == 8
    assert [first_pixel(item) for item in found] == list(range(8))


def test_long_names_fit_on_a_disk(place: Path) -> None:
    Path("list.txt").write_text(f"https://example.org/{'例' * 150}.jpg\nhttps://example.org/{'a' * 300}.jpg\n")
    found = names("list.txt")
    assert all(len(part.encode()) < 240 for name in found for part in name.split("/"))
    assert all(name.endswith(".jpg") for name in found) and len(set(found)) == 2


def test_parquet_files(place: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install -e '.[parquet]'")
    from pyarrow import parquet

    cells = [{"bytes": encoded(number), "path": f"{number}.png"} for number in range(5)]
    parquet.write_table(arrow.table({"image": cells, "label": list(range(5))}), "cells.parquet", row_group_size=2)
    found = items("cells.parquet")
    assert [item.source for item in found] == [f"cells.parquet#{number}" for number in range(5)]
    assert [first_pixel(item) for item in found] == [0, 1, 2, 3, 4]
    parquet.write_table(arrow.table({"url": ["photos/1.png", "https://example.org/x.jpg"]}), "paths.parquet")
    assert [item.name for item in items("paths.parquet")] == ["paths/000000000-1.png", "paths/000000001-x.jpg"]
    parquet.write_table(arrow.table({"a": [1], "b": [2]}), "numbers.parquet")
    with pytest.raises(InputError, match="has no column"):
        items("numbers.parquet")


def test_a_frame_that_cannot_be_decoded_is_no_image(place: Path) -> None:
    break_packets(write_clip(place / "clip.mp4", 20), [13])
    found, failed = items("clip.mp4"), list[int]()
    reader = ItemReader()
    for frame, item in enumerate(found):
        try:
            reader.read(item)
        except InputError as error:
            assert str(error) == f"clip.mp4 is damaged: frame {frame} cannot be decoded"
            failed.append(frame)
    reader.close()
    assert failed and set(failed) < set(range(12, 20))


def test_coco_files(place: Path) -> None:
    rows = [
        {"id": 1, "file_name": "1.png"},
        {"id": 2, "file_name": "old/folder/2.png"},
        {"id": 3, "file_name": "x.png"},
    ]
    (place / "set" / "annotations").mkdir(parents=True)
    draw_folder(place / "set" / "images", 3)
    file = place / "set" / "annotations" / "instances_train.json"
    file.write_text(json.dumps({"images": rows, "annotations": [], "categories": []}))
    found = items(str(file))
    assert [Path(item.source).exists() for item in found] == [True, True, False]
    assert [Path(item.source).name for item in found] == ["1.png", "2.png", "x.png"]
    (place / "settings.json").write_text("{}")
    with pytest.raises(InputError, match="COCO"):
        items("settings.json")


def test_every_nth_frame_of_a_clip(place: Path) -> None:
    from sam3model.frames import ClipWriter

    with ClipWriter(place / "clip.mp4", (64, 48), 10.0) as writer:
        for number in range(10):
            writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    found = items("clip.mp4", every=4)
    assert [item.name for item in found] == ["clip/000000.jpg", "clip/000004.jpg", "clip/000008.jpg"]
    assert {item.group for item in found} == {"clip"}, "frames of a clip belong to one split"
    assert np.allclose([first_pixel(item) for item in found], [0, 80, 160], atol=6)


def test_what_is_missing_is_named(place: Path) -> None:
    (place / "empty").mkdir()
    for word, message in (("nowhere.png", "there is no file"), ("empty", "has no images"), ("-", "one image")):
        with pytest.raises(InputError, match=message):
            items(word)


def test_a_list_is_a_stream(place: Path) -> None:
    """The first images of an endless list are there at once."""
    Path("long.txt").write_text("photos/1.png\n" * 300_000)
    assert len(list(islice(iter(LabelSources(("long.txt",))), 3))) == 3


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a/../../b.png", "a/b.png"),
        ("C:\\x\\y.jpg", "C_/x/y.jpg"),
        ("/etc/passwd", "etc/passwd.jpg"),
        ("..", "image.jpg"),
    ],
)
def test_names_from_outside_are_safe(name: str, clean: str) -> None:
    assert clean_name(name) == clean
