"""The results on disk: the only contract between the harness, which writes, and analysis, which reads."""
