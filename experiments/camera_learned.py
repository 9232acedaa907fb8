"""A camera of four pixels: the weights are learned this time, by twenty networks at once.

The network of ``camera_by_hand`` (4-4-4-8-4, 116 parameters) with random weights, RMSprop with the defaults
of Keras, batches of 32, 4,000 training and 1,000 test pictures. All networks are trained in one compiled
program. The courses print one network each, after eight epochs; of twenty networks a few are slower than
theirs and still take one picture of the eight for another then, and all are right in the end.

Run:     python -m experiments camera_learned
Expect:  all test pictures right in most networks after eight epochs, in all of them after forty
Time:    about 8 s on two cores
Course:  Back-propagation - a camera of four pixels
Course:  Multi-layer networks and optimisation - a camera of four pixels
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.camera_by_hand import build
from experiments.data import camera
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import losses, metrics, optim, train

BACK = "Back-propagation"
MULTI = "Multi-layer networks and optimisation"
# Test loss (nats) and accuracy after each epoch, as the courses print them.
PRINTED = {
    BACK: (
        (1.1926, 1.0085, 0.8416, 0.6738, 0.5030, 0.3428, 0.2161, 0.1225),
        (0.6110, 0.6150, 0.7380, 1, 1, 1, 1, 1),
    ),
    MULTI: (
        (1.0160, 0.8053, 0.6283, 0.4697, 0.3312, 0.2166, 0.1318, 0.0732),
        (0.7330, 0.8580, 0.8580, 0.8580, 1, 1, 1, 1),
    ),
}
PRINTED_EPOCHS = 8


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """How many networks, and how long."""

    seeds: int = 20
    """Networks, trained side by side."""
    epochs: int = 40
    """Passes over the 4,000 pictures; the courses print eight."""
    learning_rate: float = 1e-3
    """Step size of RMSprop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("seeds", self.seeds, least=2)
        check_whole("epochs", self.epochs, least=PRINTED_EPOCHS)


def make_train(config: Config) -> Callable[[Any, Any], Any]:
    """Build ``train(key, learning_rate)``, which returns the history and the weights of one network."""
    model = build(kernel_init=jax.nn.initializers.glorot_uniform())
    objective = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))

    def run(key: Any, learning_rate: Any) -> Any:
        weights, drawn, tested = jax.random.split(key, 3)
        data, test = camera.sample(drawn, 4000), camera.sample(tested, 1000)
        rule = optim.rmsprop(learning_rate, form="keras")
        epoch = train.make_epoch(objective, rule, 32, donate=False)
        state = train.TrainState.create(objective, rule, weights, data)

        def one(state: Any, _: Any) -> Any:
            state, record = epoch(state, data)
            logits, _ = model.apply(state.params, state.state, test[0])
            scores = {
                "loss": record["loss"].compute(),
                "val_loss": losses.cross_entropy(logits, test[1]).mean(),
                "val_accuracy": (logits.argmax(-1) == test[1]).astype(jnp.float32).mean(),
            }
            logits, _ = model.apply(state.params, state.state, jnp.array([[1.0, 1, -1, -1]]))
            return state, scores | {"horizontal": jax.nn.softmax(logits)[0, 3]}

        state, history = jax.lax.scan(one, state, length=config.epochs)
        return {"history": history, "params": state.params}

    return run


def learn(config: Config) -> train.Many:
    """Train every network; ``results["history"]`` holds ``[seeds, epochs]``."""
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    return train.fit_many(make_train(config), keys, jnp.float32(config.learning_rate))


def run(config: Config, page: Page) -> None:
    """Train, compare with both courses, show one network's weights."""
    if config.quick:
        config = replace(config, seeds=4, epochs=PRINTED_EPOCHS)
    many = learn(config)
    history = {name: np.asarray(values) for name, values in many.results["history"].items()}
    losses_now, accuracy = history["val_loss"][:, 7], history["val_accuracy"]
    for course, (printed, _) in PRINTED.items():
        what = "test loss after eight epochs (nats), mean of the networks"
        page.compare(what, losses_now.mean(), printed[-1], spread=losses_now.std(ddof=1), source=course)
    what = "test accuracy after eight epochs, mean of the networks"
    page.compare(what, accuracy[:, 7].mean(), 1, spread=accuracy[:, 7].std(ddof=1), source=f"{BACK}; {MULTI}")
    page.compare("test accuracy after eight epochs, median", np.median(accuracy[:, 7]), 1)
    what = f"test accuracy after {config.epochs} epochs, the worst of {config.seeds} networks"
    page.compare(what, accuracy[:, -1].min(), 1)
    page.compare(
        "probability of the right class for the bright horizontal picture, median",
        np.median(history["horizontal"][:, 7]),
        "0.966 and 0.962",
        source=f"{BACK}; {MULTI}",
    )
    epochs = np.arange(1, config.epochs + 1)
    named = (("Test loss (nats)", "val_loss"), ("Test accuracy", "val_accuracy"))
    panels = [
        (
            heading,
            {"median network, and the middle 80 %": (epochs, history[name])},
            {f"printed: {course}": (epochs[:8], both[number]) for course, both in PRINTED.items()},
        )
        for number, (heading, name) in enumerate(named)
    ]
    plots.bands(page.picture("curves.png"), f"{config.seeds} networks learn the camera", panels, x="epoch")
    page.show(
        "Learning",
        "The accuracy moves in steps of an eighth of the pictures: each step is one picture of the eight "
        "that the network has learnt to tell apart.",
        "curves.png",
    )
    params = many.select(int(np.argmin(history["val_loss"][:, -1])))["params"]
    kernels = {f"layer {n}": np.asarray(params[f"dense_{n - 1}"]["kernel"]).T for n in range(1, 5)}
    plots.matrices(page.picture("weights.png"), "The weights of the best network", kernels, digits=1)
    page.show(
        "Weights that learning found",
        "A row is a unit, its numbers are the weights of what comes in. They are nothing like those set by "
        "hand: many sets of weights solve the task, and descent finds one near the random start.",
        "weights.png",
    )


EXPERIMENT = Experiment("camera_learned", "A camera of four pixels, learned", Config, run)
