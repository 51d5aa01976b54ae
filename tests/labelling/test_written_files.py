"""Files of a data set: those of others are not written over, and those of splits that are gone do not stay."""

from pathlib import Path

import pytest

from sam3agent.labelling.label_data_set import DataSetFiles, label_data_set
from sam3agent.labelling.label_splits import LabelSplits
from sam3model.errors import InputError
from tests.labelling.coloured_blocks import draw_folder
from tests.labelling.test_label_runs import ALL, job


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of images."""
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "photos", 6)
    return tmp_path


@pytest.mark.parametrize(
    "mine",
    [
        "annotations/instances_val.json",
        "data.yaml",
        "failures.txt",
        "images/a/labels/b/1.txt",
        "labels/photos/1.txt",
        "train.txt",
    ],
)
def test_files_that_no_run_wrote_are_not_written_over(place: Path, mine: str) -> None:
    """A data set may be labelled in its own folder, without images; its annotations stay."""
    (place / mine).parent.mkdir(parents=True, exist_ok=True)
    (place / mine).write_text("mine")
    yolo = DataSetFiles(formats=("yolo-seg",))
    with pytest.raises(InputError, match=f"{mine} would be written over, and no journal says .*: move it away"):
        label_data_set(job(".", images="none"), yolo)
    assert (place / mine).read_text() == "mine" and not (place / "journal").exists()
    (place / mine).unlink()
    label_data_set(job(".", images="none"), yolo)
    label_data_set(job(".", images="none"), yolo)


@pytest.mark.parametrize(
    ("mine", "files"),
    [
        ("data.yaml", DataSetFiles(formats=("yolo-seg",))),
        ("classes/photos/1.png", DataSetFiles(formats=("labelme", "png"))),
        ("annotations/instances_val.json", DataSetFiles(LabelSplits.parsed("train=0.5,val=0.5"))),
        ("review/page-001.jpg", DataSetFiles(review=True)),
    ],
)
def test_later_runs_do_not_write_over_files_of_others_either(place: Path, mine: str, files: DataSetFiles) -> None:
    label_data_set(job("out"), DataSetFiles(formats=("labelme",)))
    file = place / "out" / mine
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    with pytest.raises(InputError, match=f"{mine} would be written over, and no journal says"):
        label_data_set(job("out"), files)
    label_data_set(job("out"), DataSetFiles(formats=("labelme",)))
    assert file.read_text() == "mine"
    file.unlink()
    label_data_set(job("out"), files)
    label_data_set(job("out"), files)


def test_files_of_splits_that_are_no_longer_asked_for_go(place: Path) -> None:
    label_data_set(job("out"), ALL)
    Path("out/journal/written.json").unlink()  # as in a folder of an older version
    Path("out/annotations/instances_mine.json").write_text("mine")
    label_data_set(job("out"), ALL)
    label_data_set(job("out"), DataSetFiles(formats=("yolo-seg",)))
    assert not Path("out/val.txt").exists() and not Path("out/annotations/instances_val.json").exists()
    assert Path("out/annotations/instances_mine.json").read_text() == "mine"
    assert Path("out/label-studio/val.json").exists(), "only the formats that are written change"
