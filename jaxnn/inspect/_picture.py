"""What pictures share: a canvas in inches, colours that the colour-blind can tell apart, boxes and arrows."""

from pathlib import Path
from typing import Any

INK = "#1b1f24"
QUIET = "#6b7280"
LINE = "#9aa1ab"
FRAME = "#f4f5f7"
FORWARD = "#0072b2"
BACKWARD = "#d55e00"


class Canvas:
    """A picture without axes, measured in inches from its top left corner, y downward.

    It is made without pyplot, so that nothing global changes and no window is needed.
    """

    def __init__(self, width: float, height: float) -> None:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "draw: pictures need matplotlib, which is not installed; run pip install 'jaxnn[experiments]'"
            ) from error
        self.figure: Any = Figure(figsize=(width, height), dpi=150, facecolor="white")
        FigureCanvasAgg(self.figure)
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)
        self._axes.axis("off")

    def box(
        self, x: float, y: float, width: float, height: float, face: str, edge: str, dashed: bool = False
    ) -> None:
        """A box with round corners; ``x, y`` is its top left corner."""
        from matplotlib.patches import FancyBboxPatch

        corner = f"round,pad=0,rounding_size={min(0.08, height / 3)}"
        style = (0, (4, 3)) if dashed else "solid"
        patch = FancyBboxPatch((x, y), width, height, boxstyle=corner, fc=face, ec=edge, lw=1.1, ls=style)
        self._axes.add_patch(patch)

    def circle(self, x: float, y: float, radius: float, face: str, edge: str) -> None:
        """A circle around ``x, y``."""
        from matplotlib.patches import Circle

        self._axes.add_patch(Circle((x, y), radius, fc=face, ec=edge, lw=1.3, zorder=3))

    def text(self, x: float, y: float, words: str, size: float, color: str = INK, **options: Any) -> None:
        """Words, centred unless ``ha`` says otherwise."""
        options = {"ha": "center", "va": "center", "zorder": 5, "family": "DejaVu Sans"} | options
        self._axes.text(x, y, words, fontsize=size, color=color, **options)

    def line(self, points: list[tuple[float, float]], color: str = LINE, width: float = 1.2) -> None:
        """A line through ``points``."""
        xs, ys = zip(*points, strict=True)
        self._axes.plot(xs, ys, color=color, lw=width, solid_joinstyle="round", zorder=2)

    def arrow(self, points: list[tuple[float, float]], color: str = LINE, width: float = 1.2) -> None:
        """A line through ``points`` with a head at its end."""
        if len(points) > 2:
            self.line(points[:-1], color, width)
        style = {"arrowstyle": "-|>,head_width=0.22,head_length=0.4", "color": color, "lw": width}
        style |= {"shrinkA": 0, "shrinkB": 0}
        self._axes.annotate("", points[-1], points[-2], arrowprops=style, zorder=2)

    def saved(self, path: str | Path | None) -> Any:
        """Write the picture to ``path``, unless it is ``None``, and return the figure."""
        if path is not None:
            self.figure.savefig(path)
        return self.figure


def text_width(words: str, size: float) -> float:
    """Inches that ``words`` take at ``size`` points, a little more rather than less."""
    return len(words) * size * 0.0087
