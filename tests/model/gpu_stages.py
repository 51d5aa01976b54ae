"""Every stage on the pretended GPU and on the CPU, as a program of its own: the device stays registered in a process.

Prints JSON: for each stage what differs from the CPU (0 if nothing), how often the CPU waited, or the error.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sam3model.build import Sam3Model, build
from sam3model.data.queries import FindQuery, Sample, collate
from sam3model.image import Sam3ImagePredictor
from sam3model.losses import Sam3LossWrapper
from sam3model.text import Tokenizer
from sam3model.training.clip_passes import ClipPass, TrackingModel, steps_of, track
from sam3model.training.clip_prompts import PromptPlan, SimulatedUser
from sam3model.training.clip_settings import ClipTrainConfig
from sam3model.training.lora import LoraConfig, add_adapters
from sam3model.training.passes import MultiPassModel, detect
from sam3model.video_predictor import Sam3VideoPredictor
from tests.model.pretended_gpu import GPU, PretendedGpu, on_gpu, pretended_gpu, register
from tests.model.small_video import clip, random_model

PHRASES = ["ball", "a red cat", "the goal", "grass"]


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def image(model: Sam3Model, _: torch.device) -> list[Any]:
    predictor = Sam3ImagePredictor(model.detector, interactive=model.interactive)
    encoded, _ = predictor.encode([photo(), photo()])
    found = predictor.predict(encoded, PHRASES, threshold=0.1)
    found.append(predictor.predict_prompt(encoded, phrase="ball", boxes=[[10, 10, 60, 60]], points=[[20, 20]]))
    return [value for one in found for value in (one.masks, one.boxes, one.scores)]


def clicks(model: Sam3Model, _: torch.device) -> list[Any]:
    predictor = Sam3ImagePredictor(model.detector, interactive=model.interactive)
    encoded = predictor.encode(photo())
    first = predictor.predict_object(encoded, points=[[30, 30]])
    boxes = [[10, 10, 60, 60], [20, 20, 80, 80]]
    second = predictor.predict_object(encoded, box=boxes, mask=np.stack([first.low_res[:1]] * 2), logits=True)
    return [first.masks, first.ious, second.masks, second.low_res, second.logits]


def found_on(results: list[Any]) -> list[Any]:
    return [value for one in results for value in (one.ids, one.boxes, *(one.mask(row) for row in range(len(one))))]


def phrases_in_clip(model: Sam3Model, _: torch.device) -> list[Any]:
    rules = {"hole_area": 16, "recondition_every": 2, "occlusion_iou": 0.3, "max_objects": None, "hotstart_delay": 2}
    with Sam3VideoPredictor(model).open(clip(3), **rules) as session:
        session.add_phrases(PHRASES[:2])
        return found_on(list(session.propagate()))


def objects_in_clip(model: Sam3Model, _: torch.device) -> list[Any]:
    mask = np.zeros((48, 64), bool)
    mask[10:30, 10:40] = True
    with Sam3VideoPredictor(model).open(clip(2), retire_after=1, hole_area=100) as session:
        first = session.add_points([[20, 20]], [1], frame=0)
        session.add_points([[30, 30]], [0], frame=0, object_id=first.object_id)
        session.add_box([5, 5, 30, 30], frame=1)
        session.add_mask(mask, frame=0)
        session.add_exemplars([[5, 5, 30, 30]], frame=0)
        results = list(session.propagate())
        session.add_points([[25, 25]], [1], frame=1, object_id=first.object_id)
        results += list(session.propagate())
        session.remove(first.object_id)
        return found_on(results + list(session.propagate()))


def gradients(model: torch.nn.Module) -> list[Any]:
    """All gradients as one vector, so that differences are relative to the largest."""
    found = [one.grad.cpu().detach().flatten() for one in model.parameters() if one.grad is not None]
    return [torch.cat(found).numpy()]


def concept_step(model: Sam3Model, device: torch.device) -> list[Any]:
    torch.manual_seed(0)
    add_adapters(model.detector, LoraConfig(rank=2, patterns=("vision.trunk.blocks.*", "decoder.layers.*")))
    if device == GPU:
        on_gpu(model)
    for parameter in model.detector.scoring.parameters():
        parameter.requires_grad_(True)
    boxes = np.array([[0.5, 0.5, 0.4, 0.4], [0.2, 0.3, 0.1, 0.2]], np.float32)
    masks = np.zeros((2, 28, 28), bool)
    masks[0, 8:20, 8:20] = masks[1, 6:11, 4:7] = True
    nothing = FindQuery("cat", np.zeros((0, 4), np.float32), np.zeros((0, 28, 28), bool))
    queries = (FindQuery("ball", boxes, masks, exemplars=boxes[:1]), nothing)
    noise = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    samples = [Sample(pixels, queries, str(number)) for number, pixels in enumerate(noise)]
    batch = collate(samples, Tokenizer(model.detector.config.text.context_length)).to(device)
    passes = detect(MultiPassModel(model.detector.train()), batch, torch.float32)
    loss = Sam3LossWrapper()(passes[0], batch.targets).total
    loss.backward()
    return [loss.item(), *gradients(model)]


def clip_step(model: Sam3Model, device: torch.device) -> list[Any]:
    torch.manual_seed(0)
    frames = torch.randn(1, 2, 3, 112, 112, generator=torch.Generator().manual_seed(0)).to(device)
    masks = torch.zeros(2, 2, 56, 56, dtype=torch.bool)
    masks[:, 0, 10:30, 10:30] = masks[:, 1, 30:50, 5:40] = True
    masks, index = masks.to(device), torch.tensor([0, 0]).to(device)
    user, plan = SimulatedUser(112, [(0, 0), (0, 1)]), PromptPlan("click", (1, 1))
    tracked = track(TrackingModel(model).train(), [ClipPass(frames, index, masks, plan, user)], torch.float32)[0]
    seen = torch.ones(2, 2, dtype=torch.bool).to(device)
    loss = ClipTrainConfig().loss(steps_of(tracked), masks, seen).total
    loss.backward()
    return [loss.item(), *gradients(model)]


STAGES: dict[str, Callable[[Sam3Model, torch.device], list[Any]]] = {
    "image": image, "clicks": clicks, "phrases_in_clip": phrases_in_clip, "objects_in_clip": objects_in_clip,
    "concept_step": concept_step, "clip_step": clip_step,
}  # fmt: skip


def fresh() -> Sam3Model:
    model = random_model()
    twin = build(model.config, parts=None).eval()
    twin.load_state_dict(model.state_dict())
    return twin


def difference(values: list[Any], others: list[Any]) -> float:
    """The largest difference, relative to the largest value; the fraction of differing pixels for masks."""
    worst = 0.0 if len(values) == len(others) else float("inf")
    for one, other in zip(values, others, strict=False):
        a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
        if a.shape != b.shape:
            return float("inf")
        if a.size:
            scale = a.size if np.asarray(one).dtype == bool else 1.0
            gap = np.abs(a - b).sum() / scale if scale > 1 else np.abs(a - b).max() / (1e-3 + np.abs(a).max())
            worst = max(worst, float(gap))
    return worst


def on_pretended_gpu(stage: Callable[[Sam3Model, torch.device], list[Any]], mode: PretendedGpu) -> dict[str, Any]:
    model = fresh()
    if stage is not concept_step:
        on_gpu(model)
    mode.waits.clear()
    return {"values": stage(model, GPU), "waits": sum(mode.waits.values())}


def waits_by_phrases(mode: PretendedGpu) -> dict[int, int]:
    """How often the CPU waits for the masks of one and of four known phrases."""
    model = fresh()
    on_gpu(model)
    predictor = Sam3ImagePredictor(model.detector)
    encoded, waits = predictor.encode(photo()), {}
    for count in (1, 4, 1, 4):
        mode.waits.clear()
        predictor.predict(encoded, PHRASES[:count], threshold=0.1)
        waits[count] = sum(mode.waits.values())
    return waits


def main() -> None:
    register()
    torch.set_num_threads(1)
    expected = {name: stage(fresh(), torch.device("cpu")) for name, stage in STAGES.items()}
    found: dict[str, Any] = {}
    with pretended_gpu() as mode:
        for name, stage in STAGES.items():
            try:
                ran = on_pretended_gpu(stage, mode)
                values = len(ran["values"])
                off = difference(expected[name], ran["values"])
                found[name] = {"difference": off, "values": values, "waits": ran["waits"]}
            except Exception as error:
                found[name] = {"error": str(error).split("\n")[0][:300]}
        found["waits_by_phrases"] = waits_by_phrases(mode)
        try:
            found["meeting"] = {"error": "", "sum": (torch.ones(3, device=GPU) + torch.ones(3)).tolist()}
        except RuntimeError as error:
            found["meeting"] = {"error": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
