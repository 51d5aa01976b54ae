"""Both matchers against the official assignments, and the cases where the official ones fail."""

import math

import pytest
import torch

from sam3model.losses import HungarianMatcher, Matches, OneToManyMatcher, Targets
from tests.losses.reference import matcher_cases

HUNGARIAN = [n for n, c in matcher_cases().items() if c["matcher"] == "hungarian_v2"]
ONE_TO_MANY = [n for n, c in matcher_cases().items() if c["matcher"] == "one_to_many"]
BROKEN_QUERY = {
    "o2m_logit_nan",
    "o2m_box_nan",
    "o2m_box_pos_inf",
    "o2m_box_neg_inf",
}  # one query spoils its prompt there
TILED_IDS = {"repeats_more_than_queries"}  # official target ids run past the prompt's own targets


def number(entry) -> float:
    return float(entry)


def tensor(nested) -> torch.Tensor:
    if isinstance(nested, list) and nested and isinstance(nested[0], list):
        return torch.stack([tensor(row) for row in nested])
    return torch.tensor([number(x) for x in nested])


def load(name: str):
    case = matcher_cases()[name]
    padded, counts = case["boxes_padded"], case["num_boxes"]
    boxes = [tensor(row[:n]).reshape(-1, 4) for row, n in zip(padded, counts, strict=True)]
    targets = Targets.from_prompts(boxes)
    options = {}
    if "out_is_valid" in case["call"]:
        options["query_valid"] = torch.tensor(case["call"]["out_is_valid"])
    if "target_is_valid_padded" in case["call"]:
        rows = case["call"]["target_is_valid_padded"]
        options["target_valid"] = torch.tensor([v for row, n in zip(rows, counts, strict=True) for v in row[:n]])
    if "repeats" in case["call"]:
        options["repeats"] = case["call"]["repeats"]
    return case, tensor(case["pred_logits"]), tensor(case["pred_boxes"]), targets, options


def hungarian(case) -> HungarianMatcher:
    return HungarianMatcher(**{k: v for k, v in case["params"].items() if k != "remove_samples_with_0_gt"})


def triples(matches: Matches) -> list[tuple[int, int, int]]:
    return list(zip(matches.prompt.tolist(), matches.query.tolist(), matches.target.tolist(), strict=True))


def expected_triples(case, targets: Targets) -> list[tuple[int, int, int]]:
    """The stored pairs with target ids; a null list counts through the targets of each row, `repeats` times."""
    batch, query, target = (case["expected"][k] for k in ("batch", "query", "target"))
    if target is None:
        repeats, starts = case["call"].get("repeats", 1), targets.starts().tolist()
        target = []
        for row in dict.fromkeys(batch):
            prompt = row % targets.prompts
            target += [starts[prompt] + i for i in range(targets.num_boxes[prompt])] * repeats
    return list(zip(batch, query, target, strict=True))


def totals(case, matches: Matches, logits, boxes, targets) -> dict[int, float]:
    """Cost of the matched pairs per row."""
    matcher, starts, out = hungarian(case), targets.starts().tolist(), {}
    for row in range(len(logits)):
        prompt = row % targets.prompts
        own = targets.boxes[starts[prompt] : starts[prompt] + targets.num_boxes[prompt]]
        cost = matcher.cost(logits[row : row + 1], boxes[row : row + 1], own[None])[0]
        mine = matches.prompt == row
        out[row] = cost[matches.query[mine], matches.target[mine] - starts[prompt]].sum().item()
    return out


@pytest.mark.parametrize("name", [n for n in HUNGARIAN if "raises" not in matcher_cases()[n]["expected"]])
def test_hungarian(name):
    case, logits, boxes, targets, options = load(name)
    matches = hungarian(case)(logits, boxes, targets, **options)
    if not case["ties"]:
        assert sorted(triples(matches)) == sorted(expected_triples(case, targets))
    assert matches.prompt.tolist() == case["expected"]["batch"]
    stored = case["expected"]["total_cost_per_kept_row"]
    got = totals(case, matches, logits, boxes, targets)
    kept_empty_rows = not case["params"].get("remove_samples_with_0_gt", True)
    rows = [r for r in got if kept_empty_rows or targets.num_boxes[r % targets.prompts]]
    if name not in TILED_IDS and len(stored) == len(rows):
        assert [got[r] for r in rows] == pytest.approx([number(x) for x in stored], rel=1e-5, abs=1e-5)
    assert set(matches.target.tolist()) <= set(range(len(targets)))


@pytest.mark.parametrize(
    "name", [n for n in HUNGARIAN if "cost" in matcher_cases()[n] and not matcher_cases()[n]["call"]]
)
def test_hungarian_cost(name):
    case, logits, boxes, targets, _ = load(name)
    rows = [r for r in range(len(logits)) if targets.num_boxes[r] or len(case["cost"]) == len(logits)]
    for row, stored in zip(rows, case["cost"], strict=True):
        start, count = targets.starts()[row], targets.num_boxes[row]
        got = hungarian(case).cost(logits[row, None], boxes[row, None], targets.boxes[None, start : start + count])[0]
        if count:
            torch.testing.assert_close(got, tensor(stored), rtol=1e-5, atol=2e-6, equal_nan=True)


@pytest.mark.parametrize("name", [n for n in HUNGARIAN if "raises" in matcher_cases()[n]["expected"]])
def test_hungarian_works_where_the_official_one_fails(name):
    """A query with a nan cost is left out; every target gets a query, and each query at most one target."""
    case, logits, boxes, targets, options = load(name)
    matches = hungarian(case)(logits, boxes, targets, **options)
    sane = logits.isfinite() & boxes.isfinite().all(-1)
    assert sane[matches.prompt, matches.query].all()
    assert sorted(matches.target.tolist()) == list(range(len(targets)))
    assert len(set(zip(matches.prompt.tolist(), matches.query.tolist(), strict=True))) == len(matches)


def test_repeats_with_too_few_queries_return_targets_of_the_same_prompt():
    case, logits, boxes, targets, options = load("repeats_more_than_queries")
    matches = hungarian(case)(logits, boxes, targets, **options)
    assert torch.equal(targets.prompt_index()[matches.target], matches.prompt)
    uses = torch.bincount(matches.target, minlength=len(targets))
    assert uses.max() <= options["repeats"]
    for prompt in range(targets.prompts):
        made = (matches.prompt == prompt).sum()
        assert made == min(logits.shape[1], options["repeats"] * targets.num_boxes[prompt])


def test_no_match_if_no_cost_is_finite():
    targets = Targets.from_prompts([torch.rand(2, 4)])
    assert len(HungarianMatcher()(torch.full((1, 5), math.nan), torch.rand(1, 5, 4), targets)) == 0


def test_layers_matched_together_are_matched_as_one_by_one():
    from sam3model.structures import QueryOutputs

    torch.manual_seed(0)
    targets = Targets.from_prompts([torch.rand(n, 4) for n in (3, 0, 2)])
    layers = [QueryOutputs(torch.randn(3, 8), torch.rand(3, 8, 4)) for _ in range(4)]
    together = HungarianMatcher().match_layers(layers, targets)
    for layer, matches in zip(layers, together, strict=True):
        assert triples(matches) == triples(HungarianMatcher()(layer.logits, layer.boxes, targets))


@pytest.mark.parametrize("name", [n for n in ONE_TO_MANY if n not in {"o2m_topk_above_queries", *BROKEN_QUERY}])
def test_one_to_many(name):
    case, logits, boxes, targets, options = load(name)
    matches = OneToManyMatcher(**case["params"])(logits, boxes, targets, **options)
    assert triples(matches) == expected_triples(case, targets)


def test_one_to_many_with_fewer_queries_than_topk():
    """The official matcher fails; ours passes every query but the lowest, as for topk equal to the queries."""
    case, logits, boxes, targets, _ = load("o2m_topk_above_queries")
    params = case["params"]
    above = OneToManyMatcher(**params)(logits, boxes, targets)
    equal = OneToManyMatcher(**(params | {"topk": logits.shape[1]}))(logits, boxes, targets)
    assert triples(above) == triples(equal) and len(above) > 0


@pytest.mark.parametrize("name", sorted(BROKEN_QUERY))
def test_one_to_many_ignores_a_broken_query(name):
    """The official matcher matches no target of the prompt; ours treats the broken query as invalid."""
    case, logits, boxes, targets, _ = load(name)
    broken = logits.isnan() | ~boxes.isfinite().all(-1)
    matcher = OneToManyMatcher(**case["params"])
    matches = matcher(logits, boxes, targets)
    healthy = matcher(
        logits.masked_fill(broken, 0), boxes.masked_fill(broken[..., None], 0.5), targets, query_valid=~broken
    )
    assert triples(matches) == triples(healthy)
    (spoilt,) = broken.any(1).nonzero()[:, 0].tolist()
    assert [t for t in triples(matches) if t[0] != spoilt] == expected_triples(case, targets)
    assert (matches.prompt == spoilt).any()
