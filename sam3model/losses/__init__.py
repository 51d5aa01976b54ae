"""Matchers and losses. A criterion is a frozen dataclass of its hyper-parameters; calling it returns `LossTerms`."""

from sam3model.losses.association_loss import Det2TrkAssoc, TrackingByDetectionAssoc
from sam3model.losses.box_loss import Boxes
from sam3model.losses.classification_loss import IABCEMdetr, TrackingScales
from sam3model.losses.mask_loss import Masks, PointSampler
from sam3model.losses.matcher import HungarianMatcher, Matches, OneToManyMatcher
from sam3model.losses.semantic_loss import SemanticSegCriterion
from sam3model.losses.terms import LossTerms
from sam3model.losses.tracker_loss import MultiStepMultiMasksAndIous, TrackerStep
from sam3model.losses.wrapper import LossConfig, Sam3LossWrapper, Stage
from sam3model.targets import Targets

__all__ = [
    "Boxes",
    "Det2TrkAssoc",
    "HungarianMatcher",
    "IABCEMdetr",
    "LossConfig",
    "LossTerms",
    "Masks",
    "Matches",
    "MultiStepMultiMasksAndIous",
    "OneToManyMatcher",
    "PointSampler",
    "Sam3LossWrapper",
    "SemanticSegCriterion",
    "Stage",
    "Targets",
    "TrackerStep",
    "TrackingByDetectionAssoc",
    "TrackingScales",
]
