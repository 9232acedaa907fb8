"""Pictures of a run, one a file, in one style."""

from experiments.plots.animation import animate
from experiments.plots.confusion import confusion
from experiments.plots.curves import curves
from experiments.plots.drawing import drawing
from experiments.plots.filters import filters
from experiments.plots.lines import lines
from experiments.plots.mistakes import mistakes

__all__ = ["animate", "confusion", "curves", "drawing", "filters", "lines", "mistakes"]
