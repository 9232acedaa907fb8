"""What one convolution and one pooling do to numbers and to a picture: sizes, sums, edges, answers.

A convolution is one small network, copied along the data. On nine samples, a window of two has eight places
and a window of three has seven; on a grid of nine by five, two by two windows have eight by four places, and
again seven by three. A digit is filtered with hand-made detectors of edges and strokes, rectified, and
pooled. At last, one filter made of a piece of the picture finds that piece: an inner product is largest
where picture and filter agree.

Run:     python -m experiments convolution
Expect:  the printed sizes; 285 for the kernel sum, 165 for the flipped one
Time:    about 5 s
Course:  Recurrent, convolutional and embedding networks - convolutional networks
Course:  From calculus to convolutional networks - convolutional networks
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.data import load_digits
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import ops

COURSE = "Recurrent, convolutional and embedding networks"
DECK = "From calculus to convolutional networks"
KERNELS = {
    "vertical edges": ((1, 0, -1), (2, 0, -2), (1, 0, -1)),
    "horizontal edges": ((1, 2, 1), (0, 0, 0), (-1, -2, -1)),
    "diagonal strokes": ((2, -1, -1), (-1, 2, -1), (-1, -1, 2)),
    "points": ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1)),
}
# The example of pooling that the course shows.
POOLED = ((1, 1, 2, 4), (5, 6, 7, 8), (3, 2, 1, 0), (1, 2, 3, 4))

# Side of the piece that is looked for, in pixels.
PIECE = 9


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Which picture is filtered."""

    picture: int = 3
    """Number of the test digit that is filtered, from 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.picture < 355:
            raise ValueError(f"picture: expected a test digit in [0, 355), got {self.picture}")


def sizes() -> dict[str, tuple[int, ...]]:
    """Places that windows have, from the layers' own shapes."""

    def places(model: nn.Layer, *shape: int) -> tuple[int, ...]:
        spec = jax.ShapeDtypeStruct((1, *shape, 1), jnp.float32)
        params, state = jax.eval_shape(lambda key: model.init(key, spec), jax.random.key(0))
        return jax.eval_shape(model.apply, params, state, spec)[0].shape[1:-1]

    square = nn.conv(1, (2, 2))
    return {
        "nine samples, window of 2": places(nn.conv(1, (2,)), 9),
        "nine samples, window of 3": places(nn.conv(1, (3,)), 9),
        "grid 9 by 5, windows 2 by 2": places(square, 9, 5),
        "the same once more on that": places(nn.chain(square, square), 9, 5),
        "28 by 28, windows 3 by 3, valid": places(nn.conv(1, (3, 3)), 28, 28),
        "28 by 28, windows 3 by 3, same": places(nn.conv(1, (3, 3), padding="SAME"), 28, 28),
        "28 by 28, max pooling 2 by 2": places(nn.max_pool((2, 2)), 28, 28),
    }


def kernel_sums() -> tuple[float, float]:
    """The numbers 1 to 9 filtered with the kernel 1 to 9: as networks do it, and with the kernel flipped."""
    numbers = jnp.arange(1.0, 10.0).reshape(3, 3)
    flipped = numbers[::-1, ::-1]
    return float(filtered(numbers, numbers)[0, 0]), float(filtered(numbers, flipped)[0, 0])


def filtered(picture: Any, kernel: Any) -> jax.Array:
    """Valid cross-correlation of ``[height, width]`` with ``[rows, columns]``."""
    image = jnp.asarray(picture, jnp.float32)[None, :, :, None]
    return ops.conv(image, jnp.asarray(kernel, jnp.float32)[:, :, None, None])[0, :, :, 0]


def pooled(values: Any) -> jax.Array:
    """The largest of each 2 by 2 block of ``[height, width]``."""
    return ops.max_pool(jnp.asarray(values, jnp.float32)[None, :, :, None], (2, 2))[0, :, :, 0]


def answers(picture: np.ndarray) -> dict[str, np.ndarray]:
    """A picture through every kernel, then rectified, then pooled: maps by name."""
    found = {"picture": picture}
    for name, kernel in KERNELS.items():
        answer = filtered(picture, kernel)
        found[name] = np.asarray(answer)
        found[f"{name}, rectified"] = np.asarray(jax.nn.relu(answer))
        found[f"{name}, pooled"] = np.asarray(pooled(jax.nn.relu(answer)))
    return found


def match(picture: np.ndarray, top: int, left: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A square piece of the picture as a filter, and the cosine of it and each place, ``[rows, columns]``."""
    piece = picture[top : top + size, left : left + size]
    length = jnp.sqrt(filtered(picture**2, np.ones((size, size))))
    cosine = filtered(picture, piece) / jnp.maximum(length * np.linalg.norm(piece), 1e-9)
    return piece, np.asarray(cosine)


def run(config: Config, page: Page) -> None:
    """Count, filter, pool and draw."""
    plain, flipped = kernel_sums()
    page.compare("1a + 2b + ... + 9i for a to i = 1 to 9", plain, 285, source=COURSE)
    page.compare("the same with the kernel flipped, the convolution of mathematics", flipped, 165)
    named = sizes()
    wanted = (8, 7, "8 by 4", "7 by 3")
    rows = [(name, " by ".join(map(str, size))) for name, size in named.items()]
    page.table("Places that a window has", ("data and window", "places"), rows)
    for (name, size), printed in zip(named.items(), wanted, strict=False):
        text = str(printed) if len(size) == 1 else f"{printed} (product {np.prod(size)})"
        page.compare(f"{name}: places", np.prod(size), text, source=COURSE)
    small = np.asarray(pooled(POOLED))
    panels = {"numbers": np.array(POOLED, float), "largest of each block": np.kron(small, np.ones((2, 2)))}
    plots.matrices(page.picture("pooling.png"), "Max pooling, 2 by 2", panels)
    page.show(
        "Pooling",
        f"Of each block of four the largest stays ({', '.join(f'{v:.0f}' for v in small.ravel())}), drawn "
        "four times here: a quarter of the numbers, and *what* was seen stays, while *where* is known less "
        "exactly.",
        "pooling.png",
    )
    picture = load_digits().x_test[config.picture]
    large = np.clip(np.asarray(jax.image.resize(picture, (40, 40), "cubic")), 0, 1)
    found = answers(large)
    plots.pictures(
        page.picture("edges.png"), "A digit through four kernels, rectified, pooled",
        {name: values for name, values in found.items() if name != "picture"}, columns=3,
    )  # fmt: skip
    kernels = {name: np.array(kernel, float) for name, kernel in KERNELS.items()}
    plots.pictures(page.picture("kernels.png"), "The digit and the kernels", {"digit": large, **kernels})
    page.show(
        "Detectors of edges",
        "Blue answers yes, red answers the opposite. A kernel whose numbers add up to 0 is silent on plain "
        "paper and inside thick ink. The rectified unit keeps one sign: ink to the left of paper, say, but "
        "not paper to the left of ink.",
        "kernels.png",
    )
    page.show("What they answer", "", "edges.png")
    top, left = _most_varied(large, PIECE)
    piece, cosine = match(large, top, left, PIECE)
    best = np.unravel_index(cosine.argmax(), cosine.shape)
    plots.pictures(
        page.picture("match.png"), "Looking for a piece of the digit",
        {"digit": large, "piece": piece, "how alike each place is": cosine},
    )  # fmt: skip
    page.show(
        "An inner product finds a pattern",
        f"The filter is the piece at row {top}, column {left}. Its inner product with a place of the "
        f"picture, both scaled to length one, is 1 exactly where they are equal: at row {best[0]}, column "
        f"{best[1]}.",
        "match.png",
    )
    page.compare("likeness where the piece was taken (cosine)", cosine[top, left], 1)
    page.correct(
        COURSE,
        "sliding a kernel without flipping it is called convolution",
        "it is cross-correlation, which is what networks compute (285); flipped it is convolution (165). A "
        "learned kernel can be either",
    )
    page.correct(DECK, "`Conv2D(units, kernal_size)`", "`Conv2D(filters, kernel_size)`")


def _most_varied(picture: np.ndarray, size: int) -> tuple[int, int]:
    """Where the square piece with the most varied ink begins."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (size, size))
    top, left = np.unravel_index(windows.std((2, 3)).argmax(), windows.shape[:2])
    return int(top), int(left)


EXPERIMENT = Experiment("convolution", "What a convolution does", Config, run)
