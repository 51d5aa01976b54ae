"""Fine-tuning the whole model, a part of it, or adapters; the saved weights are the validated ones."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import nn

from sam3model.checkpoint import load, save_official, save_transformers
from sam3model.config import DetectorConfig
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, batches
from sam3model.detector.scoring import scores_of
from sam3model.errors import ConfigError
from sam3model.image import Sam3ImagePredictor
from sam3model.layers.attention import MultiheadAttention
from sam3model.text import Tokenizer
from sam3model.training.lora import LoraConfig, add_adapters, plain_model, plain_state
from sam3model.training.passes import MultiPassModel, detect
from sam3model.training.run import TrainingRun
from sam3model.training.stop_signal import StopSignal
from sam3model.training.validate import validate
from tests.data.annotated_sets import SIZE, small_coco
from tests.training.conftest import concept_run


@pytest.fixture
def weights(settings):
    """Path of the weights of a first run."""
    return str(concept_run(settings(name="first")).export("first.safetensors", {}))


def moved(run: TrainingRun, start: nn.Module) -> set[str]:
    """The parts of the model that changed in the run, with adapters merged."""
    before = start.state_dict()
    return {
        name.split(".")[0]
        for name, value in plain_state(run.model).items()
        if not torch.equal(value, before[name].float())
    }


def step_through(config) -> TrainingRun:
    run = concept_run(config)
    for batch in run.batches(StopSignal()):
        run.step(batch)
    return run


EVERYTHING = {"vision", "text", "geometry", "fusion", "decoder", "scoring", "segmentation"}


def test_the_sizes_are_those_of_the_weights(settings, weights):
    config = settings(model={"preset": None, "weights": weights, "overrides": {}})
    assert isinstance(config.model.resolve(), DetectorConfig)
    assert config.model.resolve() == load(weights).config.detector


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, EVERYTHING),
        ({"frozen": ["vision.", "text."]}, EVERYTHING - {"vision", "text"}),
        ({"lora": {"rank": 2, "patterns": ["fusion.layers.*", "*.in_proj_weight"]}},
         {"text", "geometry", "fusion", "decoder", "segmentation"}),
        ({"lora": {"rank": 2, "patterns": ["text.encoder.token_embedding.*"]}}, {"text"}),
    ],
)  # fmt: skip
def test_only_the_selected_parts_are_trained(settings, weights, changes, parts):
    model = {"preset": None, "weights": weights, "overrides": {}, **changes}
    run = step_through(settings(model=model, data={"exemplars": 1.0}, optim={"weight_decay": 0.0}))
    assert moved(run, load(weights).detector) == parts


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_every_layout_gives_the_masks_of_validation(settings, weights, tmp_path, lora):
    """Full-size masks from image files: by validation, and by the predictor with each exported file."""
    root = small_coco(small_coco(tmp_path / "set", count=4), "val", count=2)
    model = {"preset": None, "weights": weights, "overrides": {}, "lora": lora}
    data, optim = {"source": "coco", "root": str(root)}, {"lr": 3e-3}
    run = step_through(settings(model=model, data=data, optim=optim, budget={"steps": 20}))
    artefact, (held_out, count) = run.artefact(), run.task.sources.validation()
    tokenize = CachedTokenizer(Tokenizer(artefact.config.text.context_length))
    (batch,) = batches(Sam3ImageDataset(held_out), tokenize, batch=count, images=count)
    full_size = torch.zeros(len(batch.targets), *SIZE[::-1], dtype=torch.bool)  # predicted masks get this size
    batch = replace(batch, targets=replace(batch.targets, masks=full_size))
    network = MultiPassModel(artefact).eval()
    (detections,) = detect(network, batch, torch.float32)
    scores = scores_of(detections.main.logits, detections.presence).flatten().sort().values
    threshold = scores[len(scores) // 2 :][:2].mean().item()  # half of them are above
    seen = validate(
        network,
        run.task.criterion,
        [batch],
        threshold=threshold,
        precision=run.task.precision,
        nms=artefact.config.nms,
        examples=99,
    )
    assert any(0.01 < mask.mean() < 0.99 for example in seen.examples for mask in example.predicted)
    native = run.export("best.safetensors", {})
    save_official(load(native), tmp_path / "official.pt")
    save_transformers(load(native), tmp_path / "transformers")
    images = {path.name: path for path in (root / "val").glob("*.png")}
    for path in (native, tmp_path / "official.pt", tmp_path / "transformers"):
        predictor = Sam3ImagePredictor.from_weights(path, device="cpu", dtype="float32")
        encoded = [predictor.encode(Image.open(images[name])) for name in batch.names]
        for image, phrase, example in zip(batch.image_index, batch.phrases, seen.examples, strict=True):
            (found,) = predictor.predict(encoded[image], [phrase], threshold=threshold)
            assert found.masks.shape == example.predicted.shape
            assert (found.masks != example.predicted).mean() < 1e-3 if len(found) else True


def test_adapters_start_at_zero_and_merge_exactly(settings):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    x = torch.randn(3, 6)
    before = net(x)
    assert add_adapters(net, LoraConfig(rank=2, patterns=("0.*", "2.weight"))) == 2
    assert torch.equal(net(x), before)
    for name, parameter in net.named_parameters():
        assert parameter.requires_grad == name.endswith((".up", ".down"))
        if parameter.requires_grad:
            nn.init.normal_(parameter)
    plain = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    plain.load_state_dict(plain_state(net))
    assert torch.equal(plain(x), net(x))
    assert not torch.equal(plain(x), before)


def test_attention_projections_have_adapters_too():
    attention = MultiheadAttention(8, 2)
    assert add_adapters(nn.ModuleDict({"a": attention}), LoraConfig(rank=1, patterns=("a.*",))) == 2
    x = torch.randn(1, 3, 8)
    attention(x, x, x).sum().backward()
    assert attention.parametrizations.in_proj_weight[0].up.grad.abs().sum() > 0


def test_the_artefact_shares_nothing_with_the_run(settings):
    run = concept_run(settings())
    artefact = plain_model(run.model)
    before = artefact.decoder.query_embed.weight.clone()
    with torch.no_grad():
        run.model.decoder.query_embed.weight.add_(1)
    assert torch.equal(artefact.decoder.query_embed.weight, before)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"frozen": ["visoin."]}, r"^model\.frozen: no parameter starts with 'visoin\.'; did you mean 'vision\.'\?"),
        ({"frozen": [f"{part}." for part in EVERYTHING]}, "no parameter is left to train"),
        ({"lora": {"patterns": ["encoder.*"]}}, r"'encoder\.\*' matches no linear layer, attention"),
        ({"preset": None}, "give a preset or weights"),
    ],
)  # fmt: skip
def test_invalid_choices_of_what_to_train_are_refused(settings, model, message):
    with pytest.raises(ConfigError, match=message):
        concept_run(settings(model=model))


def test_the_last_stage_has_the_size_of_the_model(settings):
    with pytest.raises(ConfigError, match="the last stage trains at 32 pixels, but the model is used at 64"):
        concept_run(settings(stages=[{"size": 32, "batch": 2}]))
    assert concept_run(settings(stages=[{"size": 0, "batch": 2}])).config.stages[0].size == 64


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_checkpointing_changes_no_loss(settings, lora):
    losses = []
    for name, checkpointing in (("plain", False), ("recomputed", True)):
        run = concept_run(settings(name=name, model={"checkpointing": checkpointing, "lora": lora}))
        stream = run.batches(StopSignal())
        losses.append([run.step(next(stream)).loss for _ in range(3)])
    assert losses[0] == losses[1]
