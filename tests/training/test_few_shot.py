"""The few-shot benchmark from end to end, with a small model and a single step."""

import pytest
from PIL import Image

from benchmarks.few_shot import main
from tests.training.conftest import concept_run


@pytest.fixture
def weights(settings):
    return str(concept_run(settings(name="first")).export("first.safetensors", {}))


def test_every_shot_and_method_has_a_line_and_the_figure_is_drawn(weights, tmp_path, capsys):
    figure = tmp_path / "before_after.png"
    words = ["--weights", weights, "--shots", "0", "1", "2", "--steps", "1", "--held-out", "2", "--forgetting", "1"]
    main([*words, "--figure", str(figure), "--set", "precision=float32", "validation.images=1"])
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines[2:]] == [["0", "-"], *([n, m] for n in "12" for m in ("full", "lora"))]
    learnt = {line[1]: line[7] for line in lines[2:]}
    assert learnt["-"] == "0"
    assert float(learnt["full"].split()[0]) > float(learnt["lora"].split()[0]) > 0
    with Image.open(figure) as drawn:
        assert drawn.width > drawn.height > 100


def test_a_wrong_setting_is_one_line_and_exit_code_2(weights, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--weights", weights, "--shots", "1", "--held-out", "1", "--set", "optim.lrr=1"])
    error = capsys.readouterr().err
    assert "did you mean 'lr'?" in error
