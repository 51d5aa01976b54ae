"""Which figure of validation chooses the best weights: one that can differ from model to model on what is judged."""

import logging
from collections.abc import Iterable

from sam3model.data.annotations import AnnotatedPhrase
from sam3model.errors import ConfigError

log = logging.getLogger(__name__)

Judgement = tuple[str, str, tuple[str, ...]]


def chosen_metric(wanted: str | None, asked: Iterable[AnnotatedPhrase]) -> str:
    """The figure `wanted`, or else cgF1, where it says something of a model that is asked this; logged in a line.

    Without outlines, AP is chosen: the others compare masks. Without phrases that match nothing, positive_micro_F1 is:
    the correlation in cgF1 is then 0, whatever is answered.

    Raises:
        ConfigError: `wanted` is the same for every model there.
    """
    best, why, constant = judgement(asked)
    if wanted in constant:
        raise ConfigError(f"validation.metric: {wanted} is always 0 here, {why}: leave it out, or use {best}")
    log.info(
        "the best weights are those with the highest %s%s", wanted or best, "" if wanted or not why else f": {why}"
    )
    return wanted or best


def judgement(asked: Iterable[AnnotatedPhrase]) -> Judgement:
    """The best figure, why it is not cgF1 ("" where it is), and the figures that are always 0."""
    concepts = list(asked)
    if not any(thing.segmentation is not None for concept in concepts for thing in concept.annotations):
        return "AP", "nothing that is judged has an outline", ("cgF1", "positive_micro_F1", "mean_IoU")
    if all(concept.annotations for concept in concepts):
        return "positive_micro_F1", "no phrase that is judged is absent from its picture", ("cgF1",)
    return "cgF1", "", ()
