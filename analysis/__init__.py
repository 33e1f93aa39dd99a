"""From result tables to reports. Reads records; never imports torch, ray or optuna."""
