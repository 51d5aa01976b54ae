"""Weights and configurations of transformers' `Sam3VideoModel`, `Sam3TrackerModel` and `Sam3TrackerVideoModel`."""

import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sam3model.build import Sam3Model, build
from sam3model.checkpoint import Layout, load, load_with_report, read_config, save_native, save_transformers
from sam3model.checkpoint.name_tables import EXTRA_PREFIX
from sam3model.config import (
    PARTS,
    DetectorConfig,
    InteractiveConfig,
    NeckHeadConfig,
    Sam3Config,
    TrackerConfig,
    VideoConfig,
)
from sam3model.errors import CheckpointError, ConfigError
from sam3model.interactive.heads import ObjectFeatures, ObjectPrompt
from sam3model.ops.position import PositionEmbeddingSine
from sam3model.parse import merge, parse
from tests.model.test_transformers_config import BASE

DETECTOR = parse(DetectorConfig, merge(BASE, {"d_model": 64, "heads": 8}))
INTERACTIVE = InteractiveConfig(mlp=48, iou_hidden=40)
TRACKER = TrackerConfig(ffn=56, layers=2, dropout=0.0, memory_selection=False, bfloat16_memory=True)
CONFIG = Sam3Config(DETECTOR, INTERACTIVE, TRACKER, VideoConfig())


def random_model(config: Sam3Config = CONFIG) -> Sam3Model:
    """Weights that keep activations near one, so that every mistake changes the outputs."""
    generator = torch.Generator().manual_seed(3)
    model = build(config, parts=None).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(noise / tensor[0].numel() ** 0.5 if tensor.ndim > 1 else 1 + 0.1 * noise)
    return model


@cache
def ours() -> Sam3Model:
    return random_model()


def theirs(folder: Path) -> Any:
    from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoModel

    model, info = Sam3VideoModel.from_pretrained(folder, output_loading_info=True)  # pyright: ignore[reportGeneralTypeIssues]
    assert not info["missing_keys"] and not info["mismatched_keys"]
    assert all(EXTRA_PREFIX in name for name in info["unexpected_keys"])
    return model.eval()


def same(one: Sam3Model, other: Sam3Model) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def without_header(folder: Path, rename: Any = lambda name: name) -> None:
    """Leave only what transformers knows, under new names."""
    path = folder / "model.safetensors"
    state = {rename(name): tensor for name, tensor in load_file(path).items() if EXTRA_PREFIX not in name}
    save_file(state, path, {"format": "pt"})


def test_all_parts_come_back_byte_for_byte(tmp_path: Path) -> None:
    save_transformers(ours(), tmp_path / "there")
    back, report = load_with_report(tmp_path / "there", parts=None)
    assert report.layout is Layout.TRANSFORMERS and report.parts == PARTS and not report.unused
    for model, name in ((ours(), "before"), (back, "after")):
        save_native(model, tmp_path / f"{name}.safetensors")
    assert (tmp_path / "before.safetensors").read_bytes() == (tmp_path / "after.safetensors").read_bytes()


@pytest.mark.parametrize("repeated", [False, True])
def test_only_what_transformers_stores_is_enough(tmp_path: Path, repeated: bool) -> None:
    """transformers 5.24 writes the prefix of the tracker twice."""
    save_transformers(ours(), tmp_path)
    without_header(tmp_path, lambda n: f"tracker_model.{n}" if repeated and n.startswith("tracker_model.") else n)
    loaded, report = load_with_report(tmp_path, parts=PARTS)
    assert loaded.config == replace(CONFIG, detector=loaded.config.detector) == read_config(tmp_path)
    for part in ("interactive", "tracker"):
        state, original = getattr(loaded, part).state_dict(), getattr(ours(), part).state_dict()
        assert state.keys() == original.keys() and all(torch.equal(state[name], original[name]) for name in state)
    assert all(name.startswith("detector.geometry.points_") for name in report.absent)
    assert load(tmp_path).config.parts == ("detector",)


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("tracker_model.prompt_encoder.point_embed.weight", torch.zeros(5, 64), r"shape \(5, 64\), expected \(1, 64\)"),
        ("tracker_model.prompt_encoder.shared_embedding.positional_embedding", torch.zeros(2, 32), "differ"),
        ("tracker_model.surprise", torch.zeros(1), r"unexpected tracker_model\.surprise"),
        ("tracker_model.mask_decoder.surprise", torch.zeros(1), r"unexpected tracker_model\.mask_decoder\.surprise"),
        ("tracker_model.no_object_pointer", None, r"missing tracker_model\.no_object_pointer"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path: Path, name: str, damage: Tensor | None, says: str) -> None:
    save_transformers(ours(), tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    changed = {key: tensor for key, tensor in state.items() if key != name}
    save_file(changed if damage is None else changed | {name: damage}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=says):
        load(tmp_path, parts=None)


def test_one_copy_of_the_matrix_is_enough(tmp_path: Path) -> None:
    save_transformers(ours(), tmp_path)
    without_header(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["tracker_model.prompt_encoder.shared_embedding.positional_embedding"]
    save_file(state, tmp_path / "model.safetensors")
    assert load(tmp_path, parts=PARTS).config.parts == PARTS


REFUSED = [
    (replace(CONFIG, interactive=replace(INTERACTIVE, depth=3)), "interactive.depth = 2, not 3"),
    (replace(CONFIG, interactive=replace(INTERACTIVE, iou_depth=1)), "interactive.iou_depth of at least 2"),
    (replace(CONFIG, tracker=replace(TRACKER, memory_dim=32)), "tracker.memory_dim = 64, not 32"),
    (replace(CONFIG, video=VideoConfig(one_to_one_matching=True)), "video.one_to_one_matching = False"),
    (replace(CONFIG, video=VideoConfig(recondition_box_iou=0.5)), "video.recondition_box_iou = 0.0"),
    (replace(CONFIG, video=VideoConfig(shrink_ratio=0.5)), "video.shrink_ratio = 0.3"),
    (replace(CONFIG, video=VideoConfig(boundary_margin=0.1)), "video.boundary_margin = 0.0"),
    (replace(CONFIG, video=VideoConfig(confirmation_frames=3)), "video.confirmation_frames = 0"),
    (replace(CONFIG, video=VideoConfig(hotstart_delay=4)), r"up to video.hotstart_delay \(4\), not 8"),
    (CONFIG.only(PARTS[:2]), "no model with a detector and clicks but no tracker"),
]


@pytest.mark.parametrize(("config", "says"), REFUSED)
def test_what_transformers_cannot_compute_is_refused(tmp_path: Path, config: Sam3Config, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        save_transformers(build(config, parts=None), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_neck_levels_that_transformers_cannot_track_are_refused(tmp_path: Path) -> None:
    neck = replace(DETECTOR.neck, scale_factors=(2.0, 1.0, 0.5, 0.5))
    with pytest.raises(ConfigError, match=r"neck\.scale_factors"):
        save_transformers(build(replace(CONFIG, detector=replace(DETECTOR, neck=neck)), None), tmp_path / "out")
    head = replace(DETECTOR.neck, scale_factors=(4.0, 2.0, 1.0, 0.5), interactive=NeckHeadConfig(1))
    assert replace(DETECTOR, neck=head) == DETECTOR


# Numbers: each part of theirs and of ours, with the same weights


@torch.no_grad()
def clicks(model: Sam3Model, features: ObjectFeatures, prompt: ObjectPrompt) -> dict[str, Tensor]:
    heads, tracker = model.interactive, model.tracker
    assert heads is not None and tracker is not None
    decoded = heads.decode(heads.without_memory(features.embedding), features, prompt)
    masks, ious = heads.mask_decoder.single_mask(decoded)
    candidates = {"masks": decoded.masks[:, 1:], "ious": decoded.ious[:, 1:], "scores": decoded.object_scores}
    pointers = tracker.obj_ptr_proj(decoded.tokens[:, 0])
    return {
        **candidates,
        "single": masks,
        "single_iou": ious,
        "pointers": pointers,
        "code": heads.prompt_encoder.dense_position(),
    }


@torch.no_grad()
def their_clicks(model: Any, features: ObjectFeatures, prompt: ObjectPrompt) -> dict[str, Tensor]:
    tracker = model.tracker_model
    embedding = features.embedding + tracker.no_memory_embedding.view(1, -1, 1, 1)
    points, labels = prompt.points.unsqueeze(1), prompt.labels.unsqueeze(1)
    sparse, dense = tracker.prompt_encoder(points, labels, None, prompt.mask)
    code = tracker.get_image_wide_positional_embeddings()
    decode = lambda many: tracker.mask_decoder(  # noqa: E731
        embedding, code.repeat(len(points), 1, 1, 1), sparse, dense, many, [features.fine, features.middle]
    )
    masks, ious, _, scores = decode(True)
    single, single_iou, token, _ = decode(False)
    out = {"masks": masks, "ious": ious, "scores": scores, "single": single, "single_iou": single_iou}
    out["pointers"] = tracker.object_pointer_proj(token)[:, 0]
    return {name: value.squeeze(1) for name, value in out.items()} | {"code": code}


def inputs(config: Sam3Config) -> tuple[ObjectFeatures, ObjectPrompt]:
    generator = torch.Generator().manual_seed(4)
    side, grid = config.detector.vit.image_size, config.detector.vit.grid

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    features = ObjectFeatures(draw(3, 64, grid, grid), draw(3, 8, 4 * grid, 4 * grid), draw(3, 16, 2 * grid, 2 * grid))
    points = torch.rand(3, 4, 2, generator=generator) * side
    labels = torch.tensor([[1, 0, 1, -1], [2, 3, 1, 0], [1, -1, -1, -1]])
    return features, ObjectPrompt(points, labels, 4 * draw(3, 1, 4 * grid, 4 * grid))


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert value.std() > 0.001, f"{name} is constant"
        torch.testing.assert_close(actual[name], value, atol=2e-5, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}")


@torch.no_grad()
def memory(model: Sam3Model, embedding: Tensor, masks: Tensor) -> dict[str, Tensor]:
    tracker = model.tracker
    assert tracker is not None
    scores = torch.tensor([[1.0], [-1.0]])
    maps = tracker.write_memory(embedding[:2], masks, scores, binary=False)
    pointers = embedding[:2, :, 0, :2].transpose(1, 2)  # (2, 2, D)
    tokens = tracker.join_memory([(maps, 6), (maps.flip(-1), 0)], [(pointers[:, 0], 0), (pointers[:, 1], 3)], span=7)
    return {"maps": maps, "position": tokens.position, "read": tracker.read_memory(embedding[2:], tokens)}


@torch.no_grad()
def their_memory(model: Any, embedding: Tensor, masks: Tensor) -> dict[str, Tensor]:
    def flat(maps: Tensor) -> Tensor:  # theirs have the cells first: (g*g, N, C)
        return maps.flatten(2).permute(2, 0, 1)

    tracker, grid = model.tracker_model, embedding.shape[-1]
    tracker.backbone_feature_sizes = [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2]
    scores = torch.tensor([[[1.0]], [[-1.0]]])
    features, code = tracker._encode_new_memory(flat(embedding[:2]), masks, scores, is_mask_from_pts=False)
    maps = features.float().permute(1, 2, 0).unflatten(2, (grid, grid))
    pointers = list(embedding[:2, :, 0, :2].permute(2, 0, 1))
    tokens, token_code = tracker._process_object_pointers([0, 3], pointers, 8, 2, 64, maps.device)
    rows = tracker.memory_temporal_positional_encoding
    position = torch.cat((code + rows[6], code + rows[0], token_code))
    read = tracker.memory_attention(
        current_vision_features=flat(embedding[2:].expand(2, -1, -1, -1)),
        current_vision_position_embeddings=flat(PositionEmbeddingSine(64).map(grid, grid)),
        memory=torch.cat((flat(maps), flat(maps.flip(-1)), tokens)),
        memory_posision_embeddings=position,
        num_object_pointer_tokens=len(tokens),
    )  # (2, 1, g*g, D) with the first two swapped
    read = read.reshape(2, grid * grid, -1).transpose(1, 2).unflatten(2, (grid, grid))
    return {"maps": maps, "position": position[:, :1].transpose(0, 1), "read": read}


CHANGED = [
    CONFIG,
    *(
        replace(CONFIG, interactive=replace(INTERACTIVE, **{name: value}))
        for name, value in {
            "heads": 4, "mlp": 24, "attention_downsample": 1, "mask_channels": 8, "iou_depth": 4, "iou_hidden": 24,
            "stability_delta": 0.5, "stability_threshold": 0.5,
        }.items()
    ),
    *(
        replace(CONFIG, tracker=replace(TRACKER, **{name: value}))
        for name, value in {
            "memory_frames": 8, "layers": 3, "ffn": 24, "heads": 4, "rope_theta": 100.0, "fuser_layers": 3,
            "mask_scale": 5.0, "mask_bias": 1.0,
        }.items()
    ),
]  # fmt: skip


@pytest.mark.parametrize("config", CHANGED)
def test_parts_compute_the_same(tmp_path: Path, config: Sam3Config) -> None:
    save_transformers(random_model(config), tmp_path)
    without_header(tmp_path)
    model, reference = load(tmp_path, parts=PARTS), theirs(tmp_path)
    features, prompt = inputs(config)
    assert_same(clicks(model, features, prompt), their_clicks(reference, features, prompt))
    side = 16 * config.detector.vit.grid  # of another size, theirs resizes logits, the official code probabilities
    masks = 3 * torch.randn(2, 1, side, side, generator=torch.Generator().manual_seed(5))
    assert_same(memory(model, features.embedding, masks), their_memory(reference, features.embedding, masks))


def all_values() -> dict[str, Any]:
    """Each setting that transformers has for the tracker and the video, with another value."""
    from transformers import Sam3TrackerVideoConfig, Sam3VideoConfig

    tracker = Sam3TrackerVideoConfig()
    sections = {
        "": Sam3VideoConfig(),
        "tracker_config.": tracker,
        "tracker_config.prompt_encoder_config.": tracker.prompt_encoder_config,
        "tracker_config.mask_decoder_config.": tracker.mask_decoder_config,
    }
    common = {field.name for field in fields(type(tracker).__mro__[1])}
    changed: dict[str, Any] = {"tracker_config.image_size": 112, "tracker_config.rope_parameters.rope_theta": 99.0}
    changed["tracker_config.rope_parameters.rope_type"] = "default"
    fitting = {
        "memory_encoder_output_channels": 32,
        "num_attention_heads": 4,
        "mask_input_channels": 8,
        "attention_downsample_rate": 1,
        "memory_attention_dropout": 0.3,
    }
    for section, config in sections.items():
        for field in fields(config):
            value = getattr(config, field.name)
            if field.name not in common and not field.name.endswith("_config") and field.name != "rope_parameters":
                changed[section + field.name] = fitting.get(field.name, another(value))
    return changed


def another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return "silu"
    return [value[0] + 1, value[1] + 1] if isinstance(value, list) else value + 1


IGNORED = {
    *(f"{section}initializer_range" for section in ("", "tracker_config.")),
    "recondition_on_trk_masks",
    "tracker_config.memory_attention_rope_dropout",  # in training only
    "tracker_config.memory_attention_rope_feat_sizes",  # overwritten by what follows from image_size
    "tracker_config.memory_fuser_layer_scale_init_value",
    "tracker_config.prompt_encoder_config.image_size",  # overwritten by image_size of the tracker
    "tracker_config.prompt_encoder_config.scale",  # of initial values
    "tracker_config.mask_decoder_config.hidden_act",  # not used
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    save_transformers(ours(), folder)
    without_header(folder)
    return folder


def test_each_setting_of_theirs_is_read_or_refused_by_name(exported: Path) -> None:
    original = (exported / "config.json").read_text()
    base, values, wrong = read_config(exported), all_values(), []
    for path, value in values.items():
        nested = value
        for name in reversed(path.split(".")):
            nested = {name: nested}
        (exported / "config.json").write_text(json.dumps(merge(json.loads(original), nested)))
        try:
            honoured = read_config(exported) != base
        except CheckpointError as error:
            honoured = f"{path} is {value!r}, but only" in str(error)
        if honoured is (path in IGNORED):
            wrong.append(path)
    (exported / "config.json").write_text(original)
    assert not wrong and len(values) > 60 and values.keys() >= IGNORED


def test_settings_that_are_missing_have_the_defaults_of_transformers() -> None:
    from transformers import Sam3VideoConfig

    from sam3model.checkpoint.transformers_config import read_transformers_config

    full = json.loads(Sam3VideoConfig().to_json_string(use_diff=False))
    full["detector_config"]["text_config"]["hidden_act"] = "gelu"
    bare = {"detector_config": full["detector_config"], "tracker_config": {"model_type": "sam3_tracker_video"}}
    assert read_transformers_config(json.dumps(bare)) == read_transformers_config(json.dumps(full))


def test_no_limit_of_objects_is_a_number_in_transformers(tmp_path: Path) -> None:
    for limit, number in {None: 10000, 3: 3}.items():
        save_transformers(random_model(replace(CONFIG, video=VideoConfig(max_objects=limit))), tmp_path)
        without_header(tmp_path)
        assert json.loads((tmp_path / "config.json").read_text())["max_num_objects"] == number
        assert read_config(tmp_path).video == VideoConfig(max_objects=limit)
