"""The compiled engine: a training step in C++, generated from a trace of the model's and the task's own code."""
