"""What a simulated MLLM is good at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Skill:
    """All are chances.

    verdict: a candidate that is looked at by itself is judged rightly. glance: so is one among several in a numbered
    image (None: as well as by itself). crowd: what every further mask in the image costs a glance.
    shared: part of the misjudgements that come again at every look at the same object; the rest are drawn anew.
    phrase: a phrase is simple and right. reason: order, nearness and count are worked out rightly.
    notice: a wanted object without a mask is noticed. trust: where a written verdict and the own glance differ, the
    verdict is believed. absent: whether nothing is there is seen rightly (None: as verdict).
    bad: a reply is unusable. attempts: searches after which it no longer asks for another.
    misread: part of the slips of reasoning that are in reading the question; a rule that is stated is wrong in this
    part of them, and the rest, which are in counting and comparing by eye, do not happen where a rule is computed.
    """

    verdict: float = 0.8
    glance: float | None = None
    crowd: float = 0.0
    shared: float = 0.5
    phrase: float = 0.85
    reason: float = 0.9
    notice: float = 0.5
    trust: float = 0.75
    absent: float | None = None
    bad: float = 0.0
    attempts: int = 3
    misread: float = 0.5

    def at_glance(self, shown: int) -> float:
        """The chance that one of `shown` masks in a numbered image is judged rightly."""
        best = self.verdict if self.glance is None else self.glance
        return max(0.5, best - self.crowd * max(0, shown - 1)) if best < 1 or self.crowd else best

    @property
    def sees_absence(self) -> float:
        """The chance that it is seen rightly whether nothing is there."""
        return self.verdict if self.absent is None else self.absent
