"""The marks with which a command parts its run into epochs: written by it, or read from its log."""
