"""The look that all pictures share: colours that the colour-blind can tell apart, and quiet axes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1b1f24"
QUIET = "#6b7280"
GRID = "#e3e6ea"
TRAIN = "#0072b2"
TEST = "#d55e00"
RIGHT = "#009e73"
WRONG = "#d55e00"
MAP = "Blues"

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "figure.facecolor": "white",
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.color": GRID,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 4,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator["Figure"]:
    """A figure of that many inches, written to ``path`` as PNG when the block ends.

    It is made without pyplot, so that nothing global changes and no window is needed.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        picture = Figure(figsize=(width, height), dpi=150)
        FigureCanvasAgg(picture)
        picture.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        yield picture
        picture.savefig(path)
