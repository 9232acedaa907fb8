"""Inside a convolutional network: its filters, what they make of a picture, and which pixels decide.

The network of ``digits`` is trained, and one test digit is followed through it. Filters are what the first
layer looks for, feature maps where it finds it. Three maps tell which pixels matter for the answer: the
gradient of the answer's logit (saliency), the same averaged over noisy copies, and what happens to the
answer when a part of the picture is covered. At last the picture that excites a class most is drawn by
climbing its logit.

Run:     python -m experiments inside_a_cnn
Expect:  pictures; covering the pixels that saliency points at costs more than covering others
Time:    about 20 s on two cores
Course:  Recurrent, convolutional and embedding networks - convolutional networks
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import digits, plots
from experiments.data import load_digits
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, train


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Which digit is followed."""

    picture: int = 3
    """Number of the test digit, from 0."""
    epochs: int = 15
    """Passes over the digits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("epochs", self.epochs, least=1)
        if not 0 <= self.picture < 355:
            raise ValueError(f"picture: expected a test digit in [0, 355), got {self.picture}")


def saliency(model: nn.Layer, params: Any, picture: Any, digit: Any) -> jax.Array:
    """The gradient of a class's logit by every pixel ``[height, width]``."""

    def logit(pixels: Any) -> Any:
        return model.apply(params, {}, pixels[None])[0][0, digit]

    return jax.grad(logit)(picture)


def smooth_saliency(
    model: nn.Layer, params: Any, picture: Any, digit: Any, key: Any, copies: int = 64, noise: float = 0.15
) -> jax.Array:
    """Saliency averaged over noisy copies (Smilkov et al., 2017, "SmoothGrad")."""
    noisy = picture[None] + noise * jax.random.normal(key, (copies, *picture.shape))
    return jax.vmap(lambda each: saliency(model, params, each, digit))(noisy).mean(0)


def occlusion(model: nn.Layer, params: Any, picture: Any, digit: Any, size: int = 3) -> jax.Array:
    """How much the class's probability falls when a square around each pixel is blank ``[height, width]``."""
    height, width = picture.shape
    rows, columns = jnp.arange(height), jnp.arange(width)

    def covered(row: Any, column: Any) -> Any:
        near = (abs(rows - row) <= size // 2)[:, None] & (abs(columns - column) <= size // 2)[None]
        return jnp.where(near, 0.0, picture)

    many = jax.vmap(lambda row: jax.vmap(lambda column: covered(row, column))(columns))(rows)
    every = jnp.concatenate([picture[None], many.reshape(-1, height, width)])
    chance = jax.nn.softmax(model.apply(params, {}, every)[0])[:, digit]
    return (chance[0] - chance[1:]).reshape(height, width)


def dream(model: nn.Layer, params: Any, digit: Any, steps: int = 200) -> jax.Array:
    """The picture in ``[0, 1]`` that a class's logit is largest for, by climbing it; small pictures win."""

    def height(pixels: Any) -> Any:
        return model.apply(params, {}, pixels[None])[0][0, digit] - 0.2 * jnp.square(pixels).sum()

    def step(_: Any, pixels: Any) -> Any:
        return jnp.clip(pixels + 0.02 * jax.grad(height)(pixels), 0, 1)

    return jax.lax.fori_loop(0, steps, step, jnp.full((8, 8), 0.3))


def cost_of_covering(model: nn.Layer, params: Any, picture: Any, digit: int, map_: np.ndarray) -> float:
    """How much the logit falls when the eight inked pixels of highest ``map_`` are blank."""
    ranked = np.where(picture > 0, map_, -np.inf).ravel().argsort()[::-1][:8]
    covered = np.asarray(picture).ravel().copy()
    covered[ranked] = 0
    both = np.stack([np.asarray(picture), covered.reshape(picture.shape)])
    logits = train.predict(model, params, {}, both)
    return float(logits[0, digit] - logits[1, digit])


def run(config: Config, page: Page) -> None:
    """Train, look at filters and maps, ask which pixels decide."""
    settings = digits.Config(seed=config.seed, epochs=2 if config.quick else config.epochs)
    data = load_digits()
    model = digits.build(settings)
    result = digits.EXPERIMENT.make_train(settings)(jax.random.key(config.seed), data, progress=False)
    params = result.params
    picture, label = jnp.asarray(data.x_test[config.picture]), int(data.y_test[config.picture])
    page.compare("test accuracy", result.history.last["val_accuracy"])

    kernel = np.asarray(params["conv_0"]["kernel"])
    plots.filters(page.picture("filters.png"), "Filters of the first layer", kernel)
    page.show("What the first layer looks for", "Edges and strokes in several directions.", "filters.png")
    found = jax.jit(lambda p, x: inspect.intermediates(model, p, result.state, x))(params, picture[None])
    for number, (layer, heading) in enumerate((("relu_0", "first"), ("relu_1", "second"))):
        maps = np.asarray(found[layer])[0]
        panels = {f"{k + 1}": maps[:, :, k] for k in range(min(16, maps.shape[-1]))}
        name = f"maps{number + 1}.png"
        plots.pictures(
            page.picture(name), f"Feature maps after the {heading} convolution", panels, columns=8, size=1.1
        )
        page.show(f"Where the {heading} layer finds it", "Dark is a strong answer.", name)

    key = jax.random.key(config.seed)

    @jax.jit
    def maps_of(params: Any, picture: Any) -> dict[str, Any]:
        return {
            "digit": picture,
            "saliency": saliency(model, params, picture, label),
            "saliency, averaged": smooth_saliency(model, params, picture, label, key),
            "covering": occlusion(model, params, picture, label),
        }

    named = {name: np.asarray(map_) for name, map_ in maps_of(params, picture).items()}
    named = {name: named[name] for name in ("digit", "saliency", "saliency, averaged", "covering")}
    plots.pictures(page.picture("saliency.png"), f"Why the network says {label}", named, size=1.9)
    page.show(
        "Which pixels decide",
        "*Saliency*: blue pixels speak for the answer if they were darker, red ones against it. The "
        "gradient of one picture is noisy, since the network bends between neighbouring pictures; averaged "
        "over noisy copies it is calmer. *Covering*: how much the probability falls when three by three "
        "pixels around are blank.",
        "saliency.png",
    )
    cost = cost_of_covering(model, params, picture, label, named["saliency, averaged"])
    rng = np.random.default_rng(config.seed)
    others = [cost_of_covering(model, params, picture, label, rng.random((8, 8))) for _ in range(20)]
    page.compare("logit lost by covering the eight inked pixels of highest averaged saliency", cost)
    page.compare(
        "logit lost by covering eight inked pixels at random", np.mean(others), spread=np.std(others)
    )
    dreams = np.asarray(jax.jit(jax.vmap(lambda digit: dream(model, params, digit)))(jnp.arange(10)))
    panels = {str(digit): dreams[digit] for digit in range(10)}
    plots.pictures(
        page.picture("dreams.png"), "The pictures that excite each class most", panels, columns=5, size=1.3
    )
    page.show(
        "What the network would draw",
        "Climbing a class's logit from a grey picture gives strokes of the digit, and much that is in no "
        "digit: nothing in training told the network what is not a digit.",
        "dreams.png",
    )


EXPERIMENT = Experiment("inside_a_cnn", "Inside a convolutional network", Config, run)
