"""Runs any settings with the task that they are for."""

from sam3model.training.clip_settings import ClipTrainConfig
from sam3model.training.joint_settings import JointTrainConfig
from sam3model.training.run import TrainingResult, train
from sam3model.training.settings import TrainConfig

AnyTrainConfig = TrainConfig | ClipTrainConfig | JointTrainConfig


def run_task(config: AnyTrainConfig) -> TrainingResult:
    """Train until the budget is used up. Raises as `train` and the tasks do."""
    if isinstance(config, JointTrainConfig):
        from sam3model.training.joint_task import JointTask

        return train(config, JointTask)
    if isinstance(config, ClipTrainConfig):
        from sam3model.training.clip_task import ClipTask

        return train(config, ClipTask)
    from sam3model.training.concept_task import ConceptTask

    return train(config, ConceptTask)
