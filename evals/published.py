"""Figures published by others, shown next to ours."""

from evals.benchmark_types import Published

PAPER = "arXiv 2511.16719"
MLLMS = {
    "Qwen2.5-VL-7B": (62.2, 49.1, 63.0, 53.5, 36.7, 59.4, 51.4, 57.2),
    "Qwen2.5-VL-72B": (74.6, 65.1, 70.8, 64.0, 42.0, 71.6, 64.9, 68.8),
    "Qwen3-VL-8B Thinking": (68.5, 57.4, 70.2, 67.3, 40.7, 68.6, 59.3, 66.4),
    "Qwen3-VL-235B Thinking": (76.6, 67.0, 73.7, 71.8, 48.4, 73.9, 66.9, 72.1),
    "Gemini 2.5 Pro": (77.0, 66.0, 74.0, 72.1, 45.3, 75.5, 67.3, 73.4),
}
"""SAM 3 Agent: ReasonSeg val gIoU, cIoU; test gIoU, cIoU; OmniLabel AP; RefCOCO, RefCOCO+, RefCOCOg val.

Our source does not say whether the last three are mean IoU (gIoU) or overall IoU (cIoU), so they are named "IoU".
"""


def _sam3(split: str | None = None, /, **figures: float) -> Published:
    return Published("SAM 3", figures, PAPER, split)


def _agents(column: int, split: str, *names: str) -> tuple[Published, ...]:
    return tuple(
        Published(
            f"SAM 3 Agent, {mllm}",
            dict(zip(names, values[column : column + len(names)], strict=True)),
            f"{PAPER}, SAM 3 Agent",
            split,
        )
        for mllm, values in MLLMS.items()
    )


RSAGENT = "arXiv 2512.24023, abstract"


def _not_reached(*splits: str) -> tuple[Published, ...]:
    """Systems whose figures we could not read in their papers; they are listed so that nobody takes them for absent."""
    papers = {"SAM3-I": "arXiv 2512.04585", "InstructSAM, 2B": "arXiv 2605.26102"}
    return tuple(
        Published(system, {}, f"{paper}, figures not reached", split)
        for system, paper in papers.items()
        for split in splits
    )


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "saco-gold": (
        _sam3(cgF1=54.1),
        Published("human", {"cgF1": 72.8}, PAPER),
        Published("OWLv2", {"cgF1": 24.6}, PAPER),
    ),
    "saco-silver": (_sam3(cgF1=49.6),),
    "coco": (_sam3(**{"box AP": 56.4}),),
    "lvis": (_sam3(**{"mask AP": 48.5, "box AP": 53.6, "cgF1": 37.2}),),
    "odinw": (_sam3(**{"box AP": 61.0}),),
    "rf100vl": (_sam3(**{"box AP": 15.2}),),
    "countbench": (_sam3(accuracy=93.8),),
    "reasonseg": (
        *_agents(0, "val", "gIoU", "cIoU"),
        *_agents(2, "test", "gIoU", "cIoU"),
        Published("EVOL-SAM3, 7B", {"gIoU": 72.5}, "arXiv 2512.24702", "test"),
        Published("RSAgent, zero-shot", {"gIoU": 66.5}, RSAGENT, "test"),
        *_not_reached("val", "test"),
    ),
    "omnilabel": _agents(4, "val", "AP"),
    "refcoco": (*_agents(5, "val", "IoU"), *_not_reached("val")),
    "refcoco+": (*_agents(6, "val", "IoU"), *_not_reached("val")),
    "refcocog": (
        *_agents(7, "val", "IoU"),
        Published("RSAgent", {"cIoU": 81.5}, f"{RSAGENT}; split not stated there"),
        *_not_reached("val"),
    ),
    "saco-veval": (
        _sam3("sav_test", cgF1=30.3, pHOTA=58.0),
        _sam3("yt1b_test", cgF1=50.8, pHOTA=69.9),
        _sam3("smartglasses_test", cgF1=36.4, pHOTA=63.6),
    ),
    "davis": (_sam3(**{"J&F": 92.2}),),
    "mose": (_sam3(**{"J&F": 78.4}),),
    "sav": (_sam3("val", **{"J&F": 83.5}), _sam3("test", **{"J&F": 84.4})),
    "lvvis": (_sam3("test", AP=36.3),),
    "burst": (_sam3("test", HOTA=44.5),),
    "mevis": (Published("AgentRVOS", {"J&F": 73.1}, "arXiv 2603.23489, split as there"),),
    "revos": (Published("AgentRVOS", {"J&F": 66.3}, "arXiv 2603.23489"),),
}
"""By benchmark; ODinW13 and RF100-VL are zero-shot. Benchmarks without an entry have no published figure."""
