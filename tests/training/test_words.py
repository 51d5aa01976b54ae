"""Words of the command line of training: paths as they are, typos in plain words, usage without arguments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sam3model.errors import ConfigError
from tests.data.annotated_sets import small_coco
from train.app import main
from train.compose import settings
from train.words import readable

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "path",
    [
        "/data/my birds (v2), final=1", "/data/Ünïcode", "/data/a b", "it's", "a\\b", "a\\'b\\", "C:\\sets\\birds",
        "[1]", "{x}", "1e5", "007", "true", "a:b", "100%", "a,b", "#x", "$HOME", "!", "日本語", "a+b@c", "tab\ta",
    ],
)  # fmt: skip
def test_paths_are_taken_as_they_are(path):
    words = ["experiment=finetune", f"data.root={path}", f"model.weights={path}", f"data.annotations={path}"]
    config = settings(readable(words))
    assert config.data.root == config.model.weights == config.data.annotations == path


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = settings(readable(["experiment=finetune", "data.root=~/birds", "out=~"]))
    assert (config.data.root, config.out) == (str(tmp_path / "birds"), str(tmp_path))


def test_null_lists_and_quoted_values_keep_their_meaning():
    words = ["experiment=finetune", "data.root='a b'", "data.val_annotations=null", "name='run_${seed}'", "seed=7"]
    config = settings(readable([*words, "model.frozen=[vision.,text.]"]))
    assert (config.data.root, config.data.val_annotations, config.name) == ("a b", None, "run_7")
    assert config.model.frozen == ("vision.", "text.")
    assert readable(["data.root=a,b"], sweep=True) == ["data.root=a,b"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek", "experiment=finetune", "data.root=coins"], "did you mean 'check'?"),
        (["experiment=finetune", "--data-root", "coins"], "settings are written key=value, as in data.root=VALUE"),
        (["--data.root=coins"], "as in data.root=coins"),
        (["experiment=finetune", "coins"], "'coins' is neither a command nor a setting"),
        (["experiment=finetun"], "did you mean 'finetune'?"),
        (["model.frozen=[vision."], "the value of 'model.frozen' cannot be read"),
        (["data.transforms=(a b)"], "the value of 'data.transforms' cannot be read"),
        (["device=cuda:99"], "device=auto"),
    ],
)
def test_typos_are_explained_in_plain_words(words, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    for jargon in ("Lexer", "mismatched", "override", "++", "--device"):
        assert jargon not in error


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"], ["check", "--help"]])
def test_usage_is_printed_without_arguments_and_on_request(words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    assert "usage: python -m train" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_data_set_in_a_folder_of_any_name_is_checked(tmp_path, capsys):
    root = small_coco(tmp_path / "my birds (v2), final=1")
    assert main(["check", "experiment=finetune_lora", f"data.root={root}", f"out={tmp_path}/o u t"]) == 0
    assert str(root) in capsys.readouterr().out


def test_words_of_a_data_set_do_not_steer_the_terminal(tmp_path, capsys):
    root = small_coco(tmp_path / "set")
    path = root / "train" / "_annotations.coco.json"
    path.write_text(path.read_text().replace('"bird"', '"bi\\u001b[2Jrd\\u202e"'))
    assert main(["check", "experiment=finetune_lora", f"data.root={root}", f"out={tmp_path}/out"]) == 0
    out = capsys.readouterr()
    assert "\x1b" not in out.out + out.err
    assert "\u202e" not in out.out + out.err


def test_a_missing_extra_is_named(tmp_path):
    (tmp_path / "hydra.py").write_text("raise ModuleNotFoundError('no', name='hydra')")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-m", "train", "check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr == "train: hydra is not installed: pip install -e '.[train]'\n"


def test_unreadable_text_is_refused():
    with pytest.raises(ConfigError, match="neither a command nor a setting"):
        readable([""])
