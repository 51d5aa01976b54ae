"""Loading weights imports nothing that only compiling needs, which would take longer than the loading itself."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("name", "predictor", "dtype"),
    [("image", "Sam3ImagePredictor", "int8"), ("video_predictor", "Sam3VideoPredictor", "auto")],
)
def test_loading_weights_does_not_import_the_compiler(name, predictor, dtype):
    code = (
        f"import sys; from sam3model.{name} import {predictor}; "
        f"{predictor}.from_weights('tiny', device='cpu', dtype='{dtype}'); "
        "print(*({'sympy', 'torch._dynamo', 'torch._inductor'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []
