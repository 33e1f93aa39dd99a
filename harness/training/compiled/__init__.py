"""The compiled engine: a training step in C++, made from a trace of the model's and the task's own code."""
