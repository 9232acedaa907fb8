"""Words in the plane, the words of a group in one colour."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.plots.lines import COLOURS
from experiments.plots.style import figure


def word_map(path: Path, title: str, groups: Mapping[str, Sequence[str]], places: np.ndarray) -> None:
    """Draw each word at its place.

    Args:
        path: the PNG file.
        title: above the map.
        groups: by name, their words.
        places: ``[words, 2]``, in the order of the groups.
    """
    with figure(path, 9.5, 7.2) as picture:
        axes = picture.subplots()
        axes.set_title(title)
        rest = iter(np.asarray(places))
        for number, (name, words) in enumerate(groups.items()):
            colour = COLOURS[number % len(COLOURS)]
            points = np.array([next(rest) for _ in words])
            axes.scatter(*points.T, s=14, color=colour, label=name)
            for word, (x, y) in zip(words, points, strict=True):
                axes.annotate(word, (x, y), (3, 2), textcoords="offset points", fontsize=8, color=colour)
        axes.set(xticks=[], yticks=[], xlabel="first principal axis", ylabel="second principal axis")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=len(groups), fontsize=8)
