"""Questions about clips: masks over space and time, true masks, and the benchmark on a few questions."""

import json
from pathlib import Path

import numpy as np
import pytest

from evals.clip_questions.true_clips import RenderedClip, TrueClips, TrueTracker
from evals.command import main
from evals.readers import playground_clip_questions
from evals.rle_masks import stacked
from sam3agent import Agent
from sam3model.errors import InputError
from sam3model.ops.masks import decode_rle, encode_rle
from sam3model.playground import clip, clip_questions


def test_masks_of_all_frames_are_one_mask_below_the_other() -> None:
    one = np.zeros((4, 6), bool)
    one[1, 2] = True
    full = decode_rle(dict(stacked([None, encode_rle(one), None], (4, 6))))
    assert full.shape == (12, 6) and np.argwhere(full).tolist() == [[5, 2]]


def test_true_masks_answer_questions_and_know_their_clips_only() -> None:
    planned = clip("val", 1, frames=12)
    rendered, clips = RenderedClip.of(planned), TrueClips()
    with pytest.raises(InputError, match="this benchmark only"):
        clips.open(rendered.media())
    clips.add(rendered)
    agent = Agent(clips, tracker=TrueTracker(clips))
    for question in clip_questions(planned):
        answer = agent.ask(rendered.media(), question.text)
        chosen = [mask.masklet.to_json() for mask in answer.masks]
        found = {i for i, masks in enumerate(rendered.masks) if any(_same(masks, mask) for mask in chosen)}
        assert (question.text, found) == (question.text, set(question.ids))


def _same(masks: tuple, found: dict) -> bool:
    own = {str(t): rle["counts"] for t, rle in enumerate(masks) if rle}
    return own == {t: rle["counts"] for t, rle in found.items()}


def test_the_benchmark_runs_and_scores_over_space_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(playground_clip_questions, "CLIPS", 1)
    monkeypatch.setattr(playground_clip_questions, "FRAMES", 10)
    out = tmp_path / "run"
    assert main(["playground-video-questions", "--limit", "2", "--out", str(out)]) == 0
    figures = json.loads((out / "metrics.json").read_text())["figures"]
    assert figures["gIoU"] == pytest.approx(100) and figures["questions"] >= 1
    assert "true masks + rules" in capsys.readouterr().out
