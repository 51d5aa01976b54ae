"""The training application: Hydra composes the settings, `sam3model.training` validates and runs them."""
