"""The validation metric that chooses the best weights: one that the annotations allow."""

import logging
from collections.abc import Iterable

from sam3model.data.annotations import AnnotatedPhrase
from sam3model.errors import ConfigError

log = logging.getLogger(__name__)


def choose_metric(requested: str | None, validated: Iterable[AnnotatedPhrase]) -> str:
    """The requested metric or, if None, the default for these concepts; logs the choice.

    Raises:
        ConfigError: the requested metric is the same for every model on these concepts, or no concept is present.
    """
    concepts = list(validated)
    if not any(concept.annotations for concept in concepts):
        raise ConfigError(
            "no validation image shows what it is asked for, so that no weights are better than others: "
            "give other images (data.val_split), or hold out more (data.held_out, validation.images)"
        )
    best, reason, constant = default_metric(concepts)
    if requested == "AP_with_absent" and all(concept.annotations for concept in concepts):
        raise ConfigError("validation.metric: every phrase of the validation set matches something: use AP")
    if requested in constant:
        raise ConfigError(f"validation.metric: {requested} is always 0 here, {reason}: leave it out, or use {best}")
    suffix = "" if requested or not reason else f": {reason}"
    log.info("the best weights are those with the highest %s%s", requested or best, suffix)
    return requested or best


def default_metric(validated: Iterable[AnnotatedPhrase]) -> tuple[str, str, tuple[str, ...]]:
    """The default metric, the reason if it is not cgF1 (else ""), and the metrics that are always 0.

    Without masks it is AP, times the fraction of absent phrases that get no answer, if there are any. Without absent
    phrases it is positive_micro_F1: cgF1 then contains a correlation that is always 0.
    """
    concepts = list(validated)
    absent = any(not concept.annotations for concept in concepts)
    if not any(instance.segmentation is not None for concept in concepts for instance in concept.annotations):
        best = "AP_with_absent" if absent else "AP"
        return best, "the validation set has no masks", ("cgF1", "positive_micro_F1", "mean_IoU")
    if not absent:
        return "positive_micro_F1", "every phrase of the validation set matches something", ("cgF1",)
    return "cgF1", "", ()
