"""Loading weights imports nothing that only compiling or clips need, which takes longer than the loading itself."""

import subprocess
import sys

import pytest

COMPILER = ("sympy", "torch._dynamo", "torch._inductor")
CLIPS = ("scipy", "sam3model.video_predictor")


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (
            "from sam3agent.local_model import LocalModel; "
            "LocalModel('tiny', dtype='int8', device='cpu', for_clips=True).image_predictor()",
            COMPILER + CLIPS,
        ),
        ("from sam3model.video_predictor import Sam3VideoPredictor; Sam3VideoPredictor.from_weights()", COMPILER),
    ],
    ids=["images", "clips"],
)
def test_loading_weights_imports_no_more_than_is_needed(code: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys; {code}; print(*(set({unwanted}) & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []
