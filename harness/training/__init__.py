"""Training a pack: needs neither Ray nor Optuna."""
