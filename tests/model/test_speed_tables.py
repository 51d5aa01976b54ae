"""The benchmarks of kernels and of parts print complete tables: every way is timed, and the choice is marked."""

import torch

from benchmarks import model_profile
from benchmarks.kernels import Seconds, rows, table
from sam3model.quantise import load_in_precision


def test_a_faster_way_than_the_chosen_one_is_marked() -> None:
    taken = {"torch": Seconds(2.0, 3.0), "blocks": Seconds(1.0, 4.0), "other": Seconds(0.1, 0.1)}
    lines = rows("attention", taken, 4e9, "torch", ("torch", "blocks"))
    assert lines[0].split() == ["attention", "torch", "2.0", "1.3", "2000.0", "3000.0", "chosen"]
    assert lines[1].endswith("faster than the chosen one") and lines[1].split()[2:4] == ["4.0", "1.0"]
    assert lines[2].split()[-1] == "100.0", "a way that the model cannot choose is not marked"
    agreed = rows("attention", taken, 4e9, "blocks", ("torch", "blocks"))
    assert "faster" not in "".join(agreed) and agreed[1].endswith("chosen")


def test_every_size_and_precision_has_one_chosen_way() -> None:
    lines = table(1, 1, product=(8, 64, 32), tokens=(200,))[1:]
    titles = {line[:28].strip() for line in lines}
    assert titles == {"8 x 64 x 32", "attention 200 float32", "attention 200 bfloat16"}
    for title in titles:
        assert sum(line.startswith(title) and line.endswith("  chosen") for line in lines) == 1, title


def test_parts_add_up_to_the_whole(monkeypatch) -> None:
    monkeypatch.setattr(model_profile, "PRODUCT", (64, 64, 64))
    for dtype in ("float32", "int8"):
        model = load_in_precision("tiny", device=torch.device("cpu"), dtype=dtype)[0].detector
        lines = model_profile.profile(model, dtype)
        seconds = {line[:29].strip(): float(line[29:].split()[0]) for line in lines[2:]}
        whole = seconds.pop("all")
        trunk = seconds.pop("trunk")
        assert abs(sum(seconds.values()) - whole) < 0.01 * len(seconds) and 0 < trunk < whole
        assert all(lines[row].endswith("%") and lines[row].count("%") == 2 for row in (2, 3)), "shares of the peak"


def test_operations_of_the_trunk_are_those_of_its_sizes() -> None:
    model = load_in_precision("tiny", device=torch.device("cpu"), dtype="float32")[0].detector
    vit, seen = model.config.vit, model_profile.Profile()
    with torch.inference_mode(), seen.watching(model):
        model.encode_image(torch.zeros(1, 3, vit.image_size, vit.image_size))
    tokens, hidden = vit.grid**2, round(vit.width * vit.mlp_ratio)
    parts = {name: count for name, (_, count) in seen.by_part(1.0).items()}
    assert parts[model_profile.LINEAR] == 2 * vit.depth * tokens * vit.width * (4 * vit.width + 2 * hidden)
    windows, whole = vit.depth - len(vit.global_blocks), len(vit.global_blocks)
    attended = windows * vit.window**2 + whole * tokens
    assert parts[model_profile.ATTENTION] == 4 * tokens * vit.width * attended
