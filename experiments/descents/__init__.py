"""Descents as pure functions that keep the way they came, for experiments that draw it."""

from experiments.descents.descend import Path, descend

__all__ = ["Path", "descend"]
