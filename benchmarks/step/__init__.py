"""One training step: the harness's engines, the usual torch loop, JAX, and the least that it can cost."""
