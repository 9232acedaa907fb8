"""A camera of four pixels: a deep network whose weights are set by hand, and what every layer of it sees.

Solid, vertical, diagonal and horizontal pictures of 2 by 2 pixels, bright or dark. The network 4-4-4-8-4
(tanh, tanh, rectified, softmax) is not trained: its weights are 1, -1 and 0, chosen so that each layer has a
meaning. The first compares the rows of each column, the second the columns, the third takes the sign away,
and the last collects the two signs of each class.

Run:     python -m experiments camera_by_hand
Expect:  all eight pictures right with a probability of 0.465, a mean loss of 0.765615 nats
Time:    about 2 s
Course:  Back-propagation - a camera of four pixels
Course:  Multi-layer networks and optimisation - a camera of four pixels
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.data import camera
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, losses

BACK = "Back-propagation"
MULTI = "Multi-layer networks and optimisation"


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Nothing to choose: nothing is random."""


def build(**dense: Any) -> nn.Layer:
    """``[batch, 4] -> [batch, 4]`` logits; ``dense`` goes to every dense layer."""
    return nn.chain(
        nn.dense(4, **dense), jnp.tanh,
        nn.dense(4, **dense), jnp.tanh,
        nn.dense(8, **dense), jax.nn.relu,
        nn.dense(4, **dense),
    )  # fmt: skip


def weights(dtype: Any = jnp.float32) -> dict[str, dict[str, jax.Array]]:
    """The parameters: kernels of 1, -1 and 0, no biases."""
    kernels = (
        [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, -1, 0], [0, 1, 0, -1]],
        [[1, -1, 0, 0], [1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, -1]],
        np.kron(np.eye(4), [[1, -1]]),
        np.repeat(np.eye(4), 2, axis=0),
    )
    return {
        f"dense_{index}": {
            "kernel": jnp.asarray(kernel, dtype),
            "bias": jnp.zeros(np.shape(kernel)[1], dtype),
        }
        for index, kernel in enumerate(kernels)
    }


def seen(params: Any) -> dict[str, np.ndarray]:
    """What goes in and what comes out of each layer for the eight pictures, ``[8, units]`` each."""
    x, y = camera.patterns()
    x = jnp.asarray(x, params["dense_0"]["bias"].dtype)
    outputs, values = [x], x
    for index, activation in enumerate((jnp.tanh, jnp.tanh, jax.nn.relu, jax.nn.softmax)):
        layer = params[f"dense_{index}"]
        values = activation(values @ layer["kernel"] + layer["bias"][None])
        outputs.append(values)
    names = ("picture", "columns", "both", "signs apart", "probability")
    logits, _ = build().apply(params, {}, x)
    found = dict(zip(names, map(np.asarray, outputs), strict=True))
    return found | {"loss": np.asarray(losses.cross_entropy(logits, y)), "class": y}


def run(config: Config, page: Page) -> None:
    """Compute every layer's view, and draw it."""
    del config
    with jax.enable_x64(True):
        exact = seen(weights(jnp.float64))
    right = exact["probability"].argmax(1) == exact["class"]
    summary = inspect.summary(build(), jax.ShapeDtypeStruct((1, 4), jnp.float32))
    page.compare("parameters", summary.params, 116, source=BACK)
    horizontal = exact["probability"][3]
    page.compare("probability of the right class", horizontal[3], 0.465048, source=BACK)
    page.compare("probability of each other class", horizontal[0], 0.17831734, source=BACK)
    page.compare("mean loss (nats)", exact["loss"].mean(), "0.7656148672103882", source=BACK)
    page.compare("mean loss (nats)", exact["loss"].mean(), "0.765614629269", source=MULTI)
    page.compare("accuracy on all eight pictures", right.mean(), 1, source=f"{BACK}; {MULTI}")
    _draw(page.picture("layers.png"), exact)
    page.show(
        "What every layer sees",
        "Rows are the eight pictures. The first layer adds the rows of each column, and subtracts them. "
        "The second compares the two columns, so that one unit "
        "answers to one class, with the picture's sign. The third splits each unit into a positive and a "
        "negative one, since a rectified unit keeps one sign only, and the last adds the two. The right "
        "class gets tanh(2 tanh 2) = 0.9586 and the others 0, so softmax cannot be surer than 0.465: the "
        "weights are small. Training (`camera_learned`) makes them larger.",
        "layers.png",
    )
    kernels = [np.asarray(layer["kernel"]) for layer in weights().values()]
    rows = [
        (f"layer {number}", f"{kernel.shape[0]} to {kernel.shape[1]}", _written(kernel))
        for number, kernel in enumerate(kernels, 1)
    ]
    page.table("The weights", ("layer", "units", "kernel, row by row"), rows, "All biases are 0.")
    page.correct(
        BACK,
        "`Sequential` is called in later cells without having been imported",
        "`keras.Sequential`; here `nn.chain`",
    )


def _written(kernel: np.ndarray) -> str:
    return "; ".join(" ".join(f"{value:.0f}" for value in row) for row in kernel)


def _draw(path: Path, exact: dict[str, np.ndarray]) -> None:
    labels = [f"{'bright' if i < 4 else 'dark'} {camera.CLASSES[c]}" for i, c in enumerate(exact["class"])]
    panels = {name: values for name, values in exact.items() if values.ndim == 2}
    columns = {"probability": camera.CLASSES, "picture": ("tl", "tr", "bl", "br")}
    plots.matrices(path, "A camera of four pixels, set by hand", panels, labels, columns)


EXPERIMENT = Experiment("camera_by_hand", "A camera of four pixels, set by hand", Config, run)
