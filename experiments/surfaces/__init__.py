"""Surfaces of two parameters that update rules race on, and the rules."""

from experiments.surfaces.race import SURFACES, best, race
from experiments.surfaces.rules import RULES

__all__ = ["RULES", "SURFACES", "best", "race"]
