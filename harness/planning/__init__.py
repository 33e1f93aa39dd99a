"""What is trained, and in which order: spaces, studies, packs."""
