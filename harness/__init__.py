"""Measure how stably sequence models train: conditions in, outcomes with full histories out."""

__version__ = "0.1.0"
