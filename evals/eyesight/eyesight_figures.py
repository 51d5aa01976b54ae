"""How often looks are right, with intervals, and the policy that follows."""

from collections.abc import Mapping, Sequence

import numpy as np

from evals.benchmark_types import Figures
from evals.eyesight.eyesight_looks import SeenMask
from evals.intervals import LEVEL, RESAMPLES, Draws, Interval, intervals
from sam3agent.agent.policy import BEST_EYES, WORST_EYES
from sam3model.metrics.overlap import FloatArray

LOOKS = ("glance", "close")


class EyesightFigures:
    """Percentages of masks judged rightly: those that fit, those that do not, and the mean of the two."""

    def __init__(self, masks: Sequence[SeenMask]) -> None:
        self._keys = [mask.key for mask in masks]
        self._fits = np.array([mask.fits for mask in masks], bool)
        told = {"glance": [m.glance for m in masks], "close": [m.close for m in masks]}
        self._right = {
            look: np.array([value is fits for value, fits in zip(told[look], self._fits.tolist(), strict=True)])
            for look in LOOKS
        }
        self._asked = {"glance": [m.glance is not None for m in masks], "close": [True] * len(masks)}
        self._unsure = np.array([m.close is None for m in masks])

    def compute(self) -> Figures:
        """The figures, in percent; nan without masks of a kind."""
        keys = sorted(set(self._keys))
        once = Draws(np.ones((1, len(keys))), keys)
        figures = {name: float(values[0]) for name, values in self.resample(once).items()}
        return {**figures, "close unsure": 100 * float(self._unsure.mean()), "masks": len(self._keys)}

    def resample(self, draws: Draws) -> Mapping[str, FloatArray]:
        """All figures with an interval; the unit is the image."""
        figures = dict[str, FloatArray]()
        for look in LOOKS:
            asked = np.array(self._asked[look])
            of = {
                kind: 100 * draws.mean(self._keys, self._right[look], asked & chosen)
                for kind, chosen in (("fitting", self._fits), ("other", ~self._fits))
            }
            figures |= {f"{look} {kind}": values for kind, values in of.items()}
            figures[look] = (of["fitting"] + of["other"]) / 2
        return {**figures, "difference": figures["close"] - figures["glance"]}

    def spread(self, resamples: int = RESAMPLES) -> dict[str, Interval]:
        """The intervals of the figures."""
        return intervals(self, set(self._keys), self.compute(), resamples)


def table(figures: Figures, spread: Mapping[str, Interval]) -> str:
    """A row for each look, and how they differ."""
    rows = ["".join(f"{heading:>24}" for heading in ("", "masks that fit", "masks that do not", "mean of both"))]
    for look, name in (("glance", "at a glance (numbered)"), ("close", "at a close look")):
        cells = [_cell(figures, spread, key) for key in (f"{look} fitting", f"{look} other", look)]
        rows.append("".join(f"{cell:>24}" for cell in (name, *cells)))
    more = f"close look minus glance: {_cell(figures, spread, 'difference')} points"
    counted = f"{figures['masks']:.0f} masks; {figures['close unsure']:.1f} % of the close looks were unsure"
    return "\n".join([*rows, more, f"{counted}; brackets: {LEVEL} % intervals over images"])


def advice(figures: Figures, spread: Mapping[str, Interval]) -> str:
    """What to tell the agent, and what the difference of the looks means for its policy."""
    glance, close = (min(max(figures[look] / 100, WORST_EYES), BEST_EYES) for look in LOOKS)
    low, high = spread.get("difference", (-np.inf, np.inf))
    meaning = (
        "a close look is worth its call where it decides"
        if low > 0
        else "a close look is no better than a glance: --effort low saves calls"
        if high <= 0
        else "whether a close look is better than a glance is not decided: measure more images (--count)"
    )
    return f"Recommended: --eyesight {glance:.2f},{close:.2f} with the default policy, which selects first; {meaning}."


def _cell(figures: Figures, spread: Mapping[str, Interval], name: str) -> str:
    low, high = spread.get(name, (float("nan"), float("nan")))
    return f"{figures[name]:.1f} [{low:.1f}, {high:.1f}]"
