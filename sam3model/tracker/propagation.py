"""Move groups of objects to the next frame, all in as few batches as their memories allow."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sam3model.config import TrackerConfig
from sam3model.interactive.heads import ObjectFeatures, ObjectPrompt
from sam3model.structures import map_tensors
from sam3model.tracker.group import ObjectGroup, TrackerParts
from sam3model.tracker.memory_bank import FrameMemory, ObjectOutput, concatenate, seen_score
from sam3model.tracker.tracker_model import OBJECTS_AT_ONCE, MemoryTokens, upsample_mask


def track_frame(
    parts: TrackerParts, groups: Sequence[ObjectGroup], frame: int, features: ObjectFeatures, *, reverse: bool = False
) -> None:
    """Predict the objects of each group on a frame, and put the outputs into their banks without a memory map.

    A conditioning frame keeps its output. Groups with equally long memories share one pass of the memory attention, and
    all groups share the mask heads: they are the same numbers as one group after the other.
    """
    moving = [group for group in groups if group.ids and frame not in group.bank.conditioning]
    for group in moving:
        group.bank.others.pop(frame, None)
    by_length: dict[tuple[int, int], list[tuple[ObjectGroup, MemoryTokens]]] = defaultdict(list)
    for group in moving:
        tokens = group.tokens(group.plan(frame, reverse))
        by_length[tokens.memory.shape[1], tokens.rotated].append((group, tokens))
    for same in by_length.values():
        output = _predict(parts, features, _joined([tokens for _, tokens in same]))
        start = 0
        for group, _ in same:
            own = output.rows(slice(start, start + len(group)))
            if len(same) > 1:  # a view would keep the outputs of all groups for as long as one of them needs its own
                own = map_tensors(own, torch.clone)
            start += len(group)
            seen = seen_score(own.scores, own.ious.max(-1).values)
            group.bank.others[frame] = FrameMemory(own, None, seen)
    for group in groups:
        if group.ids:
            group.tracked.add(frame, reverse)


def write_tracked(parts: TrackerParts, groups: Sequence[ObjectGroup], frame: int, features: ObjectFeatures) -> None:
    """Write the tracked outputs of a frame to memory, as the tracker does on its own (without a detector)."""
    written = [group for group in groups if group.ids and frame not in group.bank.conditioning]
    if not written:
        return
    outputs = [group.bank.others[frame].output for group in written]
    masks, scores = torch.cat([one.masks for one in outputs]), torch.cat([one.scores for one in outputs])
    large = upsample_mask(masks, parts.tracker.image_shape)
    put_memory(written, frame, parts.tracker.write_memory(features.embedding, large, scores, binary=False))


def put_memory(groups: Sequence[ObjectGroup], frame: int, memory: Tensor) -> None:
    """Hand the memory maps (N, M, g, g) of all objects of these groups, in order, to their banks."""
    start = 0
    for group in groups:
        group.bank.set_memory(frame, memory[start : start + len(group)].clone())
        start += len(group)


def forget_unread(group: ObjectGroup, frame: int) -> None:
    """Drop memory that no later step can read, so that memory does not grow with the clip.

    A propagation can go on from `frame`, from an end of what was tracked, and from the first prompt or a click: as many
    frames as a step reads are kept before and after each of these, and the nearest conditioning frames. Of a source of
    unknown length (a stream, a live session), only `frame` counts. The pointer of a frame is read longer than its map.
    """
    config, bank = group.parts.tracker.config, group.bank
    anchors = {frame}
    if group.count is not None:
        first = list(bank.conditioning)[:1]
        anchors.update(first, group.clicked_frames().intersection(bank.conditioning), group.tracked.ends())
    read = sorted(one for one, memory in bank.others.items() if _may_be_read(memory, config))
    prompted, near = sorted(bank.conditioning), config.max_conditioning_frames + 1
    conditioning: set[int] = set()
    pointers: set[int] = anchors.intersection(bank.others)
    maps = set(pointers)
    for anchor in anchors:
        pointers.update(_around(read, anchor, config.max_pointers))
        maps.update(_around(read, anchor, config.memory_frames))
        conditioning.update(_around(prompted, anchor, near))
        # those that fall into a slot of an ordinary frame are read as one
        conditioning.update(one for one in prompted if abs(one - anchor) <= config.max_pointers)
    if len(prompted) > len(conditioning) or len(bank.others) > len(maps):
        bank.keep(prompted if config.max_conditioning_frames == -1 else conditioning, pointers, maps)
        group.forget_prompts()


def _may_be_read(memory: FrameMemory, config: TrackerConfig) -> bool:
    """Whether a tracked frame that is not adjacent can be read."""
    return not config.memory_selection or (memory.seen is not None and memory.seen > config.selection_threshold)


def _around(frames: Sequence[int], anchor: int, count: int) -> Sequence[int]:
    """Of sorted frames, the last `count` up to an anchor and the first `count` from it on."""
    return frames[max(0, bisect_right(frames, anchor) - count) : bisect_left(frames, anchor) + count]


def _predict(parts: TrackerParts, features: ObjectFeatures, tokens: MemoryTokens) -> ObjectOutput:
    """Masks of unprompted objects from their memories, in passes of at most `OBJECTS_AT_ONCE`."""
    outputs = []
    for start in range(0, len(tokens.memory), OBJECTS_AT_ONCE):
        rows = slice(start, start + OBJECTS_AT_ONCE)
        position = tokens.position if len(tokens.position) == 1 else tokens.position[rows]
        some = replace(tokens, memory=tokens.memory[rows], position=position)
        embedding = parts.tracker.read_memory(features.embedding, some)
        prompt = ObjectPrompt.blank(len(embedding), embedding.device)
        outputs.append(parts.tracker.predict(parts.heads, embedding, features, prompt, candidates=True))
    return outputs[0] if len(outputs) == 1 else concatenate(outputs)


def _joined(tokens: Sequence[MemoryTokens]) -> MemoryTokens:
    """Memories of the same length as one batch."""
    if len(tokens) == 1:
        return tokens[0]
    memory = torch.cat([one.memory for one in tokens])
    position = torch.cat([one.position.expand(len(one.memory), -1, -1) for one in tokens])
    return replace(tokens[0], memory=memory, position=position)
