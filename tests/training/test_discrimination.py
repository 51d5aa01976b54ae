"""Fine-tuning that keeps what a model tells apart: absent nouns, metrics, losses on one scale, the certificate."""

import json

import pytest
import torch
from PIL import Image

from sam3model.checkpoint import load, save_native
from sam3model.checkpoint.known_losses import known_losses
from sam3model.config import Sam3Config
from sam3model.data.annotations import AnnotatedPhrase, Annotation
from sam3model.data.common_nouns import common_nouns
from sam3model.errors import CheckpointError, ConfigError
from sam3model.training.best_metric import choose_metric
from sam3model.training.certificate import Certificate, CertificateFigures, in_colours
from sam3model.training.certificate_chart import draw_chart
from sam3model.training.concept_task import ConceptTask
from sam3model.training.run import train
from sam3model.training.start import initial_model
from sam3model.training.training_log import metrics_text
from tests.data.annotated_sets import boxes_only, one_class
from tests.training.conftest import concept_run

NOUNS = {noun.name for noun in common_nouns()}


def on(settings, root, **changes):
    return settings(data={"source": "coco", "root": str(root), "exemplars": 0.0}, **changes)


@pytest.fixture
def cats(tmp_path):
    return one_class(tmp_path / "set", count=8)


def phrases_of(source, count: int = 40) -> set[str]:
    return {query.phrase for index in range(count) for query in source(index).queries}


def test_training_and_validation_ask_for_different_absent_nouns(settings, cats):
    task = ConceptTask(on(settings, cats))
    trained = phrases_of(task.sources.training(task.config.stages[0]))
    validated = phrases_of(task.sources.validation()[0])
    assert "cat" in trained & validated
    assert trained - {"cat"} < NOUNS
    assert validated - {"cat"} < NOUNS
    assert trained & validated == {"cat"}
    assert not {"lion", "cat"} & (trained - {"cat"})
    assert task.metric == "cgF1"


def test_absent_nouns_can_be_turned_off_and_kept_from_what_is_there(settings, cats):
    off = settings(data={"source": "coco", "root": str(cats), "absent_nouns": 0.0, "exemplars": 0.0})
    task = ConceptTask(off)
    assert phrases_of(task.sources.training(task.config.stages[0])) == {"cat"}
    assert task.metric == "positive_micro_F1"
    present = settings(data={"source": "coco", "root": str(cats), "present_nouns": ["animal", "toys"]})
    foreign = ConceptTask(present).sources.foreign
    assert not {"zebra", "kite"} & {*foreign.training, *foreign.held_out}


def test_best_counts_absent_phrases_without_masks(settings, tmp_path):
    task = ConceptTask(on(settings, boxes_only(tmp_path / "set", count=8)))
    assert task.metric == "AP_with_absent"
    metrics = task.validate(concept_run(task.config).artefact(), 0)
    assert metrics["AP_with_absent"] == pytest.approx(metrics["AP"] * metrics["absent_right"])
    assert [metrics[name] for name in ("cgF1", "positive_micro_F1", "mean_IoU")] == [None] * 3
    text = metrics_text(metrics)
    assert "cgF1" not in text
    assert "AP " in text


def test_losses_of_training_and_validation_are_on_one_scale(settings, cats):
    """On the same images, without augmentation or dropout, they are nearly the same."""
    data = {"source": "coco", "root": str(cats), "exemplars": 0.0, "absent_nouns": 0.0, "val_split": "train"}
    stages = [{"size": 64, "batch": 8, "phrases": 3, "mask_stride": 1}]
    config = settings(data=data | {"held_out": 0.9}, stages=stages, optim={"lr": 0.0}, validation={"images": 8})
    run = concept_run(config)
    run.model.eval()
    held_out, count = run.task.sources.validation()
    from sam3model.data.dataset import Sam3ImageDataset, batches

    (batch,) = batches(Sam3ImageDataset(held_out), run.task.tokenize, batch=count, images=count)
    validated = run.task.validate(run.artefact(), 0)["loss"]
    run.network.train()
    terms = run.task.loss(run.network, batch, 0)
    assert terms.shown == pytest.approx(validated, rel=0.05)
    assert terms.total.item() > 2 * terms.shown


def test_a_fine_tuned_model_gets_a_certificate(settings, cats, tmp_path):
    torch.manual_seed(1)
    start = tmp_path / "start.safetensors"
    model = initial_model(settings().model, settings().model.resolve())
    save_native(model, start)
    model = {"preset": None, "weights": str(start), "overrides": {}}
    result = train(on(settings, cats, model=model, budget={"steps": 2}), ConceptTask)
    folder = result.weights.parent
    content = json.loads((folder / "certificate.json").read_text())
    assert content["start"] == str(start)
    assert content["weights"] == "best.safetensors"
    assert tuple(content["lost"]) == result.warnings
    for part in ("before", "after"):
        found = content[part]
        assert len(found["nouns"]) == 50
        assert set(found["nouns"]) < NOUNS
        assert set(found["colours"]) == {"cat"}
        assert {"yellow", "orange"} < set(found["colours"]["cat"])
        assert 0 <= found["foreign_nouns"] <= 1
        assert found["old_domain"] is not None
    assert Image.open(folder / "certificate.png").width == 900


def test_a_validation_set_that_shows_nothing_is_refused():
    absent = [AnnotatedPhrase("cat", ()), AnnotatedPhrase("dog", ())]
    for requested in (None, "cgF1", "AP"):
        with pytest.raises(ConfigError, match="no validation image shows what it is asked for"):
            choose_metric(requested, absent)
    assert choose_metric(None, [*absent, AnnotatedPhrase("cow", (Annotation((0, 0, 9, 9)),))]) == "AP_with_absent"


def test_a_run_whose_start_is_gone_has_succeeded_without_a_certificate(settings, cats, tmp_path, monkeypatch):
    def gone(*_: object):
        raise CheckpointError("no weights at start.safetensors")

    monkeypatch.setattr(ConceptTask, "certify", gone)
    result = train(on(settings, cats, budget={"steps": 1}), ConceptTask)
    assert result.status == "finished" and result.weights is not None and result.weights.is_file()
    assert result.warnings == ("the certificate was not written: no weights at start.safetensors",)


def figures(**changes) -> CertificateFigures:
    values = {"own_classes": 0.5, "foreign_nouns": 0.98, "contrast": 0.4, "old_domain": 0.7, "nouns": {"zebra": 0.2}}
    return CertificateFigures(**values | changes)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({}, []),
        ({"own_classes": 1.0, "foreign_nouns": 0.95}, []),
        ({"foreign_nouns": 0.5, "nouns": {"zebra": 0.92, "owl": 0.1}}, ["'zebra' is answered with 0.92"]),
        ({"contrast": 0.1}, ["contrast between colours"]),
        ({"old_domain": 0.3}, ["the old domain was partly forgotten"]),
        ({"old_domain": None, "contrast": None, "foreign_nouns": None}, []),
    ],
)
def test_a_certificate_says_what_fell(after, said):
    certificate = Certificate("tiny", "best.safetensors", 4, 0.5, figures(), figures(**after))
    lost = certificate.lost()
    assert len(lost) == len(said)
    assert all(part in line for part, line in zip(said, lost, strict=True))
    assert draw_chart(certificate).height > 200


def test_export_says_what_the_certificate_beside_the_weights_says(tmp_path):
    weights = tmp_path / "best.safetensors"
    assert known_losses(weights) == ()
    certificate = Certificate("tiny", weights.name, 4, 0.5, figures(), figures(contrast=0.0))
    (tmp_path / "certificate.json").write_text(json.dumps(certificate.content()))
    assert known_losses(weights) == certificate.lost() != ()
    assert known_losses(tmp_path / "final.safetensors") == ()
    for text in ("[" * 100_000, "[]", '{"weights": "best.safetensors", "lost": 3}', "{"):
        (tmp_path / "certificate.json").write_text(text)
        assert known_losses(weights) == ()
    assert known_losses("") == ()


def test_contrasts_replace_the_colour_that_a_class_has():
    assert in_colours("orange forklift") == in_colours("forklift")
    assert in_colours("forklift")["yellow"] == "yellow forklift"
    assert in_colours("orange")["red"] == "red orange"


def test_a_run_can_start_from_weights_that_have_other_parts_too(settings):
    from sam3model.training.settings import ModelConfig

    model = ModelConfig(preset=None, weights="tiny")
    assert initial_model(model, model.resolve()).config == load("tiny").detector.config
    assert isinstance(load("tiny", config=Sam3Config(model.resolve())).config, Sam3Config)
