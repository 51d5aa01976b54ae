"""Rules of the video pipeline: pure functions over masks, scores and ids, one file per rule.

Low-resolution masks are logits (n, h, w); a pixel belongs to the object if its logit is above zero. Ids are positive
integers or zero, unique over the phrases of a session. "Group" means the phrase of an object or detection: rules that
compare objects compare those of one group only, because two phrases may describe the same object.
"""
