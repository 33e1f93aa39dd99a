"""Built-in spaces: one file each, binding SPACE."""
