"""Rules for what hides, returns, grows and shrinks, on a clip of drawn blocks with known answers."""

from functools import lru_cache
from typing import Any

import pytest

from sam3agent.motion.camera_path import camera_path
from sam3agent.tools.registry import all_tools
from sam3agent.workbench import Workbench
from tests.agent.changing_blocks import BLOCKS, workbench
from tests.agent.measured_tracks import measured

ALL = list(range(1, len(BLOCKS) + 1))


@lru_cache(maxsize=1)
def tracked() -> Workbench:
    return measured(workbench(), ALL)


def selected(keep: Any) -> Any:
    return all_tools()["select_masks"].call(tracked(), {"ids": ALL, "keep": [keep]})


@pytest.mark.parametrize(
    ("keep", "ids"),
    [
        ("hides", [1, 2]),
        ({"rule": "hides", "position": 1}, [1]),
        ({"rule": "hides", "position": -1}, [2]),
        ({"rule": "hides", "before": "mask 4 returns"}, [1, 2]),
        ({"rule": "hides", "after": 24}, [2]),
        ({"rule": "hides", "after": 25}, []),
        ({"rule": "hides", "drop": True}, [3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("returns", [4, 5]),
        ({"rule": "returns", "position": 1}, [4]),
        ({"rule": "returns", "position": 2}, [5]),
        ({"rule": "returns", "side": "right"}, [4]),
        ({"rule": "returns", "side": "left"}, [5]),
        ({"rule": "returns", "after": {"mask": 6, "does": "leaves"}}, [4, 5]),
        ("leaves", [4, 5, 6]),
        ({"rule": "leaves", "position": -1}, [6]),
        ("enters", [4, 5, 11]),
        ("disappears", [3, 6]),
        ("grows", [7]),
        ("shrinks", [8]),
        ({"rule": "grows", "drop": True}, [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]),
    ],
)
def test_a_rule_keeps_those_that_it_names(keep: Any, ids: list[int]) -> None:
    assert [mask["id"] for mask in selected(keep).data["masks"]] == ids


def test_the_proof_names_the_frames() -> None:
    assert selected("hides").data["proof"] == "mask 1: hides (frames 22 to 24); mask 2: hides (frames 25 to 33)"
    back = selected({"rule": "returns", "side": "right"})
    assert back.data["proof"] == "mask 4: returns, at the right (frames 27 to 29)"


def test_paths_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured, module = list[int](), "sam3agent.motion.clip_motion.camera_path"
    monkeypatch.setattr(module, lambda *given: measured.append(1) or camera_path(*given))
    work = workbench()
    first = all_tools()["track"].call(work, {"phrases": ["block"]}).pool
    known = all_tools()["measure_tracks"].call(work.with_pool(first), {"ids": [1]}).pool
    assert len(measured) == 1 and all(c.path for c in known.candidates)
    kept = first.on_paths_of(known)
    assert [c.path for c in kept.candidates] == [c.path for c in known.candidates]
    assert all_tools()["select_masks"].call(work.with_pool(kept), {"ids": ALL, "keep": ["hides"]}).data["masks"]
    assert len(measured) == 1, "other calls use what is known"
    pool, (merged,) = kept.replaced([1, 2], [kept.candidates[0].masklet.joined(kept.candidates[1].masklet)])
    assert all(c.id != merged or not c.path for c in pool.on_paths_of(known).candidates), "but not of other masklets"
