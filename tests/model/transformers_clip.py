"""The small `Sam3VideoModel` of `tests/goldens/make_transformers_video_goldens.py` as a model of ours."""

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from sam3model.build import Sam3Model, build
from sam3model.checkpoint import load, save_transformers
from sam3model.checkpoint.name_tables import EXTRA_PREFIX
from sam3model.checkpoint.transformers_config import read_transformers_config
from sam3model.config import PARTS
from tests.model.transformers_clip_weights import weight
from tests.model.weight_rule import GOLDENS

FOLDER = GOLDENS / "transformers_video_small"


def results() -> dict[str, Tensor]:
    """Inputs (`in.frames`, `in.ids`) and the results per frame (`0.ids`, `0.masks`, ...)."""
    return load_file(FOLDER / "outputs.safetensors")


def clip_model(folder: Path) -> Sam3Model:
    """The model, read from a file of transformers that this writes into `folder`."""
    text = (FOLDER / "config.json").read_text()
    save_transformers(build(read_transformers_config(text), parts=None), folder)
    shapes = {name: tuple(tensor.shape) for name, tensor in load_file(folder / "model.safetensors").items()}
    state = {name: weight(name, shape) for name, shape in shapes.items() if EXTRA_PREFIX not in name}
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(text)
    return load(folder, parts=PARTS)
