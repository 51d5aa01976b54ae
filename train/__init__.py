"""The training application: Hydra composes a config, `sam3model.training` validates and runs it."""
