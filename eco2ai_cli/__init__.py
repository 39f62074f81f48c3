"""Measure what a command and all its processes cost in energy, carbon emissions and money."""

__version__ = "0.1.0"
