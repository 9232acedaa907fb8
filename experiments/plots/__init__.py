"""Pictures of a run, one a file, in one style."""

from experiments.plots.animation import animate
from experiments.plots.bands import bands
from experiments.plots.confusion import confusion
from experiments.plots.curves import curves
from experiments.plots.decision_map import DecisionMap, animated_decision_map, decision_maps
from experiments.plots.drawing import drawing
from experiments.plots.filters import filters
from experiments.plots.grid import Grid
from experiments.plots.histogram import histogram
from experiments.plots.lines import lines
from experiments.plots.matrices import matrices
from experiments.plots.mistakes import mistakes
from experiments.plots.pictures import pictures
from experiments.plots.surface import animated_surface, surface
from experiments.plots.ways import ways

__all__ = [
    "DecisionMap",
    "Grid",
    "animate",
    "animated_decision_map",
    "animated_surface",
    "bands",
    "confusion",
    "curves",
    "decision_maps",
    "drawing",
    "filters",
    "histogram",
    "lines",
    "matrices",
    "mistakes",
    "pictures",
    "surface",
    "ways",
]
