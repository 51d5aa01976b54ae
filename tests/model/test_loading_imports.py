"""Loading weights imports nothing that only compiling needs, which would take longer than the loading itself."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["image.Sam3ImagePredictor", "video_predictor.Sam3VideoPredictor"])
def test_loading_weights_does_not_import_the_compiler(module):
    name, predictor = module.split(".")
    code = (
        f"import sys; from sam3model.{name} import {predictor}; {predictor}.from_weights('tiny'); "
        "print(*({'sympy', 'torch._dynamo', 'torch._inductor'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []
