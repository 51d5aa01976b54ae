"""The whole training loss against the official wrapper: totals, log, gradients, normalisation, stages, ranks."""

import socket
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from sam3model.errors import ConfigError
from sam3model.losses import IABCEMdetr, LossConfig, Matches, Sam3LossWrapper, Stage, Targets
from sam3model.structures import Detections, QueryOutputs
from tests.losses.reference import Case, names
from train.compose import settings

METRICS = ("ce_f1", "presence_dec_acc", "presence_acc", "miou_semantic_seg")
TOTALS = names("wrapper/total/")
STAGES = names("wrapper/two_stages")


def config(params: dict) -> LossConfig:
    classification = IABCEMdetr(
        pos_weight=params["pos_weight"], pad_n_queries=params["pad_n_queries"], weak_loss=params.get("weak_loss", False)
    )
    given = {k: params[k] for k in (
        "normalization", "normalize_by_valid_object_num", "scale_by_find_batch_size", "use_o2m_matcher_on_o2m_aux",
        "normalize_by_stage_num",
    ) if k in params}  # fmt: skip
    made = replace(LossConfig(), classification=classification, **given)
    return made if params["segmentation"] else replace(made, masks=None, semantic=None)


def detections(case: Case, prefix: str = "") -> Detections:
    def layer(name: str, suffix: str = "") -> QueryOutputs:
        get = lambda key: case[f"{prefix}{name}.{key}{suffix}"]  # noqa: E731
        return QueryOutputs(get("pred_logits")[..., 0], get("pred_boxes"), get("pred_masks"))

    aux = [f"aux{i}" for i in range(9) if f"{prefix}aux{i}.pred_logits" in case.inputs]
    return Detections(
        main=layer("out"), presence=case[f"{prefix}out.presence_logit_dec"][:, 0], queries=torch.empty(0),
        semantic=case[f"{prefix}out.semantic_seg"], one_to_many=layer("out", "_o2m"),
        aux=tuple(layer(a) for a in aux), aux_one_to_many=tuple(layer(a, "_o2m") for a in aux),
        aux_presence=tuple(case[f"{prefix}{a}.presence_logit_dec"][:, 0] for a in aux),
    )  # fmt: skip


def check(case: Case, terms, counts: dict[str, int] | None = None) -> None:
    """Compare with the stored log, where metrics are doubled for one-to-many queries and summed over `counts` steps."""
    got = {"core_loss": terms.total, **terms.losses}
    for name, number in terms.metrics.items():
        is_metric = name.startswith(METRICS)
        factor = (2 if is_metric and name.endswith("_o2m") else 1) * (counts or {}).get(name, 1)
        got[name] = number * factor if is_metric else number
    for name in case.expected:
        case.check(name, got.get(name, torch.zeros(())))
    missing = set(got) - set(case.expected) - {"num_boxes"}
    assert not missing


@pytest.mark.parametrize("name", [*TOTALS, *names("wrapper/all_negative/")])
def test_total(name):
    case = Case.load(name)
    terms = Sam3LossWrapper(config(case.params))(detections(case), case.targets())
    check(case, terms)
    if case.grads:
        case.check_grads("core_loss", terms.total)


@pytest.mark.parametrize("name", ["wrapper/inputs", "wrapper/inputs_stages"])
def test_stored_assignments_are_reproduced(name):
    case = Case.load(name)
    matcher, targets = LossConfig().matcher, case.targets()
    stored = [key.removesuffix("indices.batch") for key in case.inputs if key.endswith("indices.batch")]
    assert stored
    for prefix in stored:
        matches = matcher(case[f"{prefix}pred_logits"][..., 0], case[f"{prefix}pred_boxes"], targets)
        assert torch.equal(matches.prompt, case[f"{prefix}indices.batch"])
        assert torch.equal(matches.query, case[f"{prefix}indices.query"])
        assert torch.equal(matches.target, torch.arange(len(targets)))


@pytest.mark.parametrize("name", STAGES)
def test_stages(name):
    case = Case.load(name)
    first, second = "wrapper/inputs:", "wrapper/inputs_stages:"
    steps = ["s0.", "s1."] if "two_steps" in name else ["s0."]
    stages = [
        Stage((detections(case, first),), case.targets(first)),
        Stage([detections(case, second + step) for step in steps], case.targets(second)),
    ]
    terms = Sam3LossWrapper(config(case.params)).over_stages(stages)
    counts = {key: 1 if "_aux_1" in key else 1 + len(steps) for key in terms.metrics}
    check(case, terms, counts)


def _rank(rank: int, port: int, results) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    for valid in (0, 1):
        case = Case.load(f"wrapper/world2/rank{rank}/valid_{valid}")
        terms = Sam3LossWrapper(config(case.params))(detections(case), case.targets())
        check(case, terms)
        assert terms.metrics["num_boxes"].item() == case.expected["num_boxes"]
        results[rank * 2 + valid] = 1
    dist.destroy_process_group()


def in_two_ranks(work, results: int) -> list[float]:
    """Results that two processes write into a tensor of `results` numbers; raises if either of them does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = torch.zeros(results).share_memory_()
    mp.start_processes(work, (port, shared), nprocs=2, start_method="fork")
    return shared.tolist()


def test_two_ranks_share_the_divisor():
    assert in_two_ranks(_rank, 4) == [1, 1, 1, 1]


UNFINISHED = LossConfig(classification=IABCEMdetr(weak_loss=True, weak_presence=True), across_ranks=True)


def unfinished(rows: slice) -> torch.Tensor:
    """The loss of some of four prompts; the first and the last one, which has no targets, are not exhaustive."""
    generator = torch.Generator().manual_seed(0)
    boxes = [torch.rand(n, 4, generator=generator) for n in (2, 1, 0, 0)]
    logits, places = torch.randn(4, 6, generator=generator), torch.rand(4, 6, 4, generator=generator)
    presence, maps = torch.randn(4, generator=generator), torch.randn(4, 1, 4, 4, generator=generator)
    finished = [False, True, True, False][rows]
    outlines = [torch.rand(len(some), 4, 4, generator=generator) < 0.5 for some in boxes]
    targets = Targets.from_prompts(boxes[rows], outlines[rows], is_exhaustive=finished, is_pixel_exhaustive=finished)
    masks = torch.randn(4, 6, 4, 4, generator=generator)
    main = QueryOutputs(logits[rows], places[rows], masks[rows])
    found = Detections(main, presence[rows], torch.empty(0), maps[rows])
    return Sam3LossWrapper(UNFINISHED)(found, targets).total


def _half(rank: int, port: int, results) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    results[rank] = unfinished(slice(0, 1) if rank == 0 else slice(1, 4)).item()
    dist.destroy_process_group()


def test_two_ranks_with_different_annotations_have_the_loss_of_one():
    assert sum(in_two_ranks(_half, 2)) / 2 == pytest.approx(unfinished(slice(0, 4)).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("experiment", "weak"), [("finetune", True), ("finetune_lora", True), ("detector_pretrain", True), ("odinw", False)]
)
def test_unlabelled_instances_are_not_penalised_in_experiments_that_say_so(experiment, weak):
    """Three prompts; the first two are not exhaustive, and one of these has no target."""
    loss = settings([f"experiment={experiment}", "data.root=somewhere"]).loss
    box = torch.tensor([[0.3, 0.5, 0.2, 0.2]])
    targets = Targets.from_prompts([box, box[:0], box], is_exhaustive=[False, False, True])
    logits, presence = torch.zeros(3, 5, requires_grad=True), torch.zeros(3, requires_grad=True)
    boxes = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(0))
    boxes[:, 2] = box
    matches = loss.matcher(logits, boxes, targets)
    assert matches.query.tolist() == [2, 2]
    terms = loss.classification(logits, boxes, presence, matches, targets)
    of_logits, of_presence = torch.autograd.grad(terms.total, (logits, presence))
    unmatched = of_logits[:, [0, 1, 3, 4]]
    assert (of_logits[[0, 2], 2] < 0).all() and (unmatched[2] > 0).all()
    assert of_presence[0] < 0 and of_presence[2] < 0
    assert (unmatched[0] == 0).all() if weak else (unmatched[0] > 0).all()
    assert of_presence[1] == 0 if weak else of_presence[1] > 0
    nothing = loss.classification(
        logits[1:2], boxes[1:2], presence[1:2], Matches(*torch.zeros(3, 0, dtype=torch.long)),
        Targets.from_prompts([box[:0]], is_exhaustive=[False]),
    )  # fmt: skip
    assert nothing.total.isfinite()


def test_masks_of_only_prompts_with_targets_change_nothing():
    case = Case.load("wrapper/total/finetune_seg")
    whole, targets = detections(case), case.targets()
    rows = torch.nonzero(targets.num_boxes)[:, 0]
    part = replace(
        whole,
        main=replace(whole.main, masks=whole.main.masks[rows], mask_rows=rows),
        one_to_many=replace(whole.one_to_many, masks=whole.one_to_many.masks[rows], mask_rows=rows),
        semantic=whole.semantic[rows],
    )
    loss = Sam3LossWrapper()
    torch.testing.assert_close(loss(part, targets).total, loss(whole, targets).total)


def test_inference_outputs_give_a_loss_too():
    """Evaluation has no one-to-many half and no earlier layers; the loss is then that of the last layer."""
    case = Case.load("wrapper/total/finetune_seg")
    whole, targets = detections(case), case.targets()
    alone = replace(whole, one_to_many=None, aux=(), aux_one_to_many=(), aux_presence=())
    terms = Sam3LossWrapper()(alone, targets)
    assert not [name for name in terms.losses if "aux" in name or "o2m" in name]
    case.check("loss_bbox", terms.losses["loss_bbox"])
    case.check("loss_mask", terms.losses["loss_mask"])


def test_bfloat16_outputs_are_scored_in_float32():
    case = Case.load("wrapper/total/finetune_seg")
    outputs, targets = detections(case), case.targets()
    low = replace(outputs, main=QueryOutputs(
        outputs.main.logits.bfloat16(), outputs.main.boxes.bfloat16(), outputs.main.masks.bfloat16()
    ))  # fmt: skip
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = Sam3LossWrapper()(low, targets)
    assert terms.total.dtype == torch.float32
    assert terms.total.item() == pytest.approx(float(case.expected["core_loss"]), rel=0.02)


def test_targets_from_lists_equal_packed_targets():
    case = Case.load("wrapper/total/finetune_seg")
    packed = case.targets()
    counts = packed.num_boxes.tolist()
    made = Targets.from_prompts(
        packed.boxes.split(counts), packed.masks.split(counts), object_ids=packed.object_ids.split(counts),
        is_valid_mask=packed.is_valid_mask.split(counts), is_exhaustive=packed.is_exhaustive.tolist(),
    )  # fmt: skip
    loss = Sam3LossWrapper()
    assert loss(detections(case), made.to("cpu")).total == loss(detections(case), packed).total
    assert torch.equal(made.padded(made.object_ids, -1), case["target.object_ids_padded"])


def test_unknown_normalization_is_refused():
    with pytest.raises(ConfigError, match="global, local, none"):
        LossConfig(normalization="batch")


def test_a_step_down_the_gradient_lowers_the_loss():
    torch.manual_seed(0)
    case = Case.load("wrapper/total/finetune_seg")
    outputs, targets = detections(case), case.targets()
    loss = Sam3LossWrapper()
    before = loss(outputs, targets).total
    (gradient,) = torch.autograd.grad(before, outputs.main.boxes)
    moved = replace(outputs, main=replace(outputs.main, boxes=outputs.main.boxes - 1e-5 * gradient))
    assert loss(moved, targets).total < before and before.isfinite()


@pytest.mark.parametrize("with_targets", [True, False])
def test_masks_for_no_prompt_at_all(with_targets):
    """A batch whose masks are all unknown, or without any target, needs no masks and still trains the rest."""
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2]])[: int(with_targets)]
    targets = Targets.from_prompts(
        [boxes], [torch.zeros(len(boxes), 8, 8)], is_valid_mask=[torch.zeros(len(boxes), dtype=torch.bool)]
    )
    none = torch.zeros(0, dtype=torch.int64)
    logits = torch.zeros(1, 6, requires_grad=True)
    main = QueryOutputs(logits, torch.rand(1, 6, 4), torch.zeros(0, 6, 4, 4), none)
    outputs = Detections(main, torch.ones(1, requires_grad=True), torch.empty(0), torch.zeros(0, 1, 4, 4))
    terms = Sam3LossWrapper()(outputs, targets)
    assert terms.total.isfinite() and terms.losses["loss_mask"] == 0 == terms.losses["loss_semantic_dice"]
    assert torch.autograd.grad(terms.total, outputs.presence)[0].any()
