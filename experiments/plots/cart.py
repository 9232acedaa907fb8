"""A cart with its pole, in motion: several agents below each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.plots.animation import animate
from experiments.plots.style import INK, QUIET, TEST, TRAIN

LENGTH = 1.0  # of the pole, in metres


def cart(
    path: Path, motions: Mapping[str, np.ndarray], rail: float, *, every: int = 4, step: float = 0.02
) -> None:
    """Draw the motions.

    Args:
        path: the GIF file.
        motions: by label, ``[steps, 4]``: position (m), velocity, angle from upright (rad), angular velocity.
        rail: half the length of the rail in metres.
        every: one picture for so many steps.
        step: seconds of a step.
    """
    steps = max(len(motion) for motion in motions.values())
    frames = -(-steps // every)

    def prepare(picture: Any) -> Any:
        drawn = []
        panels = picture.subplots(len(motions), 1, squeeze=False)[:, 0]
        for axes, (label, motion) in zip(panels, motions.items(), strict=True):
            axes.set(xlim=(-rail - 0.4, rail + 0.4), ylim=(-0.25, 1.25), aspect="equal", yticks=[])
            axes.grid(visible=False)
            axes.plot([-rail, rail], [0, 0], color=QUIET, linewidth=1)
            (body,) = axes.plot([], [], "s", color=INK, markersize=14)
            (pole,) = axes.plot([], [], color=TEST, linewidth=4, solid_capstyle="round")
            drawn.append((axes, label, motion, body, pole))
        panels[-1].set_xlabel("position (m)")

        def draw(frame: int) -> None:
            for axes, label, motion, body, pole in drawn:
                at = min(frame * every, len(motion) - 1)
                x, _, angle, _ = motion[at]
                fallen = frame * every >= len(motion)
                body.set_data([x], [0])
                pole.set_data([x, x + LENGTH * np.sin(angle)], [0, LENGTH * np.cos(angle)])
                pole.set_color(QUIET if fallen else TRAIN)
                axes.set_title(f"{label}: step {at + 1}{', fallen' if fallen else ''}", loc="left")

        return draw

    animate(path, frames, prepare, width=6.0, height=2.1 * len(motions) + 0.3, seconds=steps * step)
