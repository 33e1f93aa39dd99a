"""Runs that are killed at random points until they have finished: nothing may be lost, doubled or changed."""
