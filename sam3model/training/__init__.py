"""The trainer: configs, optimiser groups, schedules, averages, checkpoints and the loop."""
