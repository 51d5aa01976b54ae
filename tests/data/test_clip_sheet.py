"""The sheet of clips to look at."""

import numpy as np
import pytest
from PIL import Image

from sam3model.playground import clip, clip_questions
from sam3model.playground.clip_sheet import main


def test_a_sheet_outlines_the_answer_of_a_question(tmp_path):
    answered, silent = 46, 24
    assert any(question.ids for question in clip_questions(clip("heldout", answered)))
    assert not any(question.ids for question in clip_questions(clip("heldout", silent)))
    marked = []
    for index in (answered, silent):
        main([str(tmp_path / "sheet.png"), "--clips", str(index), "--columns", "2"])
        pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
        marked.append(int((np.abs(pixels - (255, 45, 85)).max(2) < 12).sum()))
    assert marked[0] > 50
    assert marked[1] == 0


def test_a_sheet_of_one_column_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "sheet.png"), "--columns", "1"])
    assert "at least one clip and two columns" in capsys.readouterr().err
