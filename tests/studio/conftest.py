from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.studio.studio_desk import StudioClient, studio, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "files")


@pytest.fixture
def desk(folder: Path, tmp_path: Path) -> Iterator[StudioClient]:
    with studio(folder, tmp_path / "out") as opened:
        yield opened
