"""The process tree: what it has used so far."""
