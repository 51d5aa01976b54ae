"""Files with clicks and a tracker but no detector, on the detector of other weights."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sam3model.build import Sam3Model, build
from sam3model.checkpoint import load, load_with_report, save_native, save_official, save_transformers
from sam3model.checkpoint.name_tables import EXTRA_PREFIX
from sam3model.config import PARTS, Sam3Config
from sam3model.errors import CheckpointError, ConfigError
from tests.model.test_transformers_video import CONFIG, DETECTOR, ours

INTERACTIVE = ("prompt_encoder.", "mask_decoder.", "shared_image_embedding.", "no_memory_embedding", "vision_encoder.")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights without an interactive neck: the tracker's file brings it."""
    bare = build(Sam3Config(replace(DETECTOR, neck=replace(DETECTOR.neck, interactive=None))))
    bare.detector.load_state_dict(ours().detector.state_dict(), strict=False)
    path = tmp_path_factory.mktemp("detector") / "detector.safetensors"
    save_native(bare, path)
    return path


def plain_name(name: str) -> str | None:
    """Name inside `Sam3TrackerVideoModel` of a tensor of `Sam3VideoModel`, or None."""
    if name.startswith("tracker_model."):
        return name.removeprefix("tracker_model.")
    name = name.replace("detector_model.vision_encoder.backbone.", "vision_encoder.backbone.")
    name = name.replace("tracker_neck.", "vision_encoder.neck.")
    return name if name.startswith("vision_encoder.") and "detector_model" not in name else None


def repeated_name(plain: str) -> str:
    """The name that `save_pretrained` of transformers 5.24 writes."""
    plain = plain.replace("vision_encoder.backbone.", "detector_model.vision_encoder.backbone.")
    return "tracker_model." + plain.replace("vision_encoder.neck.", "tracker_neck.")


def tracker_file(folder: Path, *, video: bool, repeated: bool) -> Path:
    save_transformers(ours(), folder)
    state = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        plain = plain_name(name)
        if plain is not None and EXTRA_PREFIX not in name and (video or plain.startswith(INTERACTIVE)):
            state[repeated_name(plain) if repeated else plain] = tensor
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    values: dict[str, Any] = json.loads((folder / "config.json").read_text())["tracker_config"]
    if not video:
        values["model_type"] = "sam3_tracker"
    (folder / "config.json").write_text(json.dumps(values))
    return folder


def assert_parts_of_ours(model: Sam3Model) -> None:
    state = ours().state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("video", [False, True])
def test_tracker_models_of_transformers(tmp_path: Path, detector: Path, video: bool, repeated: bool) -> None:
    folder = tracker_file(tmp_path, video=video, repeated=repeated)
    model, report = load_with_report(folder, detector=detector, parts=None)
    assert report.parts == (PARTS if video else PARTS[:2]) and not report.unused and not report.absent
    assert_parts_of_ours(model)
    assert model.config == CONFIG.only(report.parts)
    if video:
        assert load(folder, detector=detector, parts=PARTS[:2]).tracker is None
    else:
        with pytest.raises(CheckpointError, match="has no tracker, which video needs"):
            load(folder, detector=detector, parts=PARTS)
    with pytest.raises(CheckpointError, match="has interactive heads but no detector: also give weights") as caught:
        load(folder, parts=None)
    assert "\n" not in str(caught.value)


def test_transformers_saves_such_files(tmp_path: Path, detector: Path) -> None:
    from transformers.models.sam3_tracker.modeling_sam3_tracker import Sam3TrackerModel
    from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import Sam3TrackerVideoModel

    for kind, video in ((Sam3TrackerModel, False), (Sam3TrackerVideoModel, True)):
        folder = tracker_file(tmp_path / f"{video}", video=video, repeated=False)
        model, info = kind.from_pretrained(folder, output_loading_info=True)  # pyright: ignore[reportGeneralTypeIssues]
        assert not info["missing_keys"] and not info["unexpected_keys"]
        model.save_pretrained(tmp_path / f"again{video}")
        loaded = load(tmp_path / f"again{video}", detector=detector, parts=None)
        assert_parts_of_ours(loaded)
        assert loaded.config == CONFIG.only(PARTS if video else PARTS[:2])


def test_an_official_file_of_the_tracker_alone(tmp_path: Path) -> None:
    save_native(build_detector(), tmp_path / "detector.safetensors")
    save_official(ours(), tmp_path / "sam3.pt")
    content = torch.load(tmp_path / "sam3.pt", weights_only=True)
    state = {name: tensor for name, tensor in content["model"].items() if name.startswith("tracker.")}
    torch.save({"model": state}, tmp_path / "tracker.pt")
    kwargs: dict[str, Any] = {"detector": tmp_path / "detector.safetensors", "config": CONFIG, "parts": PARTS}
    model, report = load_with_report(tmp_path / "tracker.pt", **kwargs)
    assert_parts_of_ours(model)
    assert report.loaded == len(ours().state_dict())
    with pytest.raises(CheckpointError, match=r"tracker\.pt has interactive heads but no detector"):
        load(tmp_path / "tracker.pt")
    torch.save({"model": state | {"tracker.surprise": torch.zeros(1)}}, tmp_path / "tracker.pt")
    with pytest.raises(CheckpointError, match=r"unexpected tracker\.surprise"):
        load(tmp_path / "tracker.pt", **kwargs)


def build_detector() -> Sam3Model:
    return Sam3Model(ours().detector)


@pytest.mark.parametrize("save", ["native", "official", "transformers"])
def test_whole_files_can_bring_their_tracker(tmp_path: Path, detector: Path, save: str) -> None:
    path = {"native": tmp_path / "m.safetensors", "official": tmp_path / "m.pt", "transformers": tmp_path / "m"}[save]
    {"native": save_native, "official": save_official, "transformers": save_transformers}[save](ours(), path)
    model = load(path, detector=detector, parts=PARTS)
    assert_parts_of_ours(model)
    assert model.config == CONFIG


def test_precision_of_the_detector(tmp_path: Path, detector: Path) -> None:
    folder = tracker_file(tmp_path, video=True, repeated=False)
    model = load(folder, detector=detector, parts=PARTS, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    matrix = "interactive.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    assert torch.equal(model.state_dict()[matrix], ours().state_dict()[matrix])


def test_another_image_encoder_is_refused(tmp_path: Path, detector: Path) -> None:
    folder = tracker_file(tmp_path, video=True, repeated=False)
    state = load_file(folder / "model.safetensors")
    name = "vision_encoder.backbone.layers.1.mlp.fc1.bias"
    save_file(state | {name: state[name] + 1}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"different image encoders \(detector\.vision\.trunk\.blocks\.1\.mlp"):
        load(folder, detector=detector, parts=PARTS)
    values = json.loads((folder / "config.json").read_text())
    values["vision_config"]["backbone_config"]["window_size"] = 4
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=r"the image encoder has window 4, that of the detector 2"):
        load(folder, detector=detector, parts=PARTS)


def test_weights_without_clicks_are_refused(detector: Path, tmp_path: Path) -> None:
    save_native(load("tiny"), tmp_path / "lean.safetensors")
    with pytest.raises(CheckpointError, match=r"lean\.safetensors has no interactive heads: leave out `detector=`"):
        load(tmp_path / "lean.safetensors", detector=detector)
    with pytest.raises(ConfigError, match="part 'tracker' needs 'interactive'"):
        load(detector, detector=detector, parts=["detector", "tracker"])
