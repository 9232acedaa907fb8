"""A network with two inputs and two outputs, of 28,670 parameters, in three ways of writing it.

Ten numbers go through layers of 128, 128 and 32 units, eight other numbers through three of 32; both meet in
a layer of 28, from which two heads answer. The same function is written with combinators (``parallel``,
``branch``), as a function of named layers, and drawn as a table of its layers; with equal parameters all give
equal numbers. Then it learns two tasks at once.

Run:     python -m experiments two_inputs_two_outputs
Expect:  28,670 parameters; both heads learn
Time:    about 10 s
Course:  From calculus to convolutional networks - building models
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments import plots
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, losses, optim, train

COURSE = "From calculus to convolutional networks"


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """How long it learns."""

    epochs: int = 60
    """Passes over the 2,000 examples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("epochs", self.epochs, least=1)


def _stack(*widths: int, last: bool = True) -> nn.Layer:
    """Dense layers with rectified units between them, and after the last one if wanted."""
    layers: list[Any] = []
    for width in widths:
        layers += [nn.dense(width), jax.nn.relu]
    return nn.chain(*(layers if last else layers[:-1]))


def by_combinators() -> nn.Layer:
    """``([batch, 10], [batch, 8]) -> ([batch, 1], [batch, 1])``, in one expression."""
    return nn.chain(
        nn.parallel(_stack(128, 128, 32), _stack(32, 32, 32)),
        nn.concatenate(),
        nn.dense(28), jax.nn.relu,
        nn.branch(_stack(64, 1, last=False), _stack(16, 1, last=False)),
    )  # fmt: skip


def by_function() -> nn.Layer:
    """The same as a function that calls its layers by name."""

    @nn.model(
        left=_stack(128, 128, 32), right=_stack(32, 32, 32), middle=nn.dense(28),
        first=_stack(64, 1, last=False), second=_stack(16, 1, last=False),
    )  # fmt: skip
    def two(m: Any, inputs: Any) -> Any:
        a, b = inputs
        h = jax.nn.relu(m.middle(jnp.concatenate([m.left(a), m.right(b)], -1)))
        return m.first(h), m.second(h)

    return two


def same_weights(params: Any) -> Any:
    """Parameters of the combinators' network under the names of the function's."""
    towers, heads = params["parallel_0"], params["branch_0"]
    left, right = (towers[name] for name in sorted(towers))
    first, second = (heads[name] for name in sorted(heads))
    return {"left": left, "right": right, "middle": params["dense_0"], "first": first, "second": second}


def examples(key: Any, count: int = 2000) -> tuple[Any, Any]:
    """Two inputs and two targets, a smooth function of both inputs and a sign."""
    one, two = jax.random.split(key)
    a, b = jax.random.normal(one, (count, 10)), jax.random.normal(two, (count, 8))
    value = jnp.sin(a[:, :1]) + 0.5 * b[:, :1] * a[:, 1:2]
    sign = (b[:, 1:2] + a[:, 2:3] > 0).astype(jnp.float32)
    return (a, b), (value, sign)


def objective(model: nn.Layer) -> train.Objective:
    """Squared error of the first head and binary cross entropy of the second, added."""

    def loss(outputs: Any, targets: Any) -> Any:
        (value, logit), (wanted, sign) = outputs, targets
        return losses.squared_error(value, wanted) + losses.binary_cross_entropy(logit, sign)

    return train.supervised(model, loss)


def scores(model: nn.Layer, params: Any, data: Any) -> tuple[float, float]:
    """Squared error of the first head, accuracy of the second."""
    (value, logit), _ = jax.jit(model.apply)(params, {}, data[0])
    wanted, sign = data[1]
    return float(jnp.mean((value - wanted) ** 2)), float(jnp.mean((logit > 0) == (sign > 0.5)))


def run(config: Config, page: Page) -> None:
    """Build it three ways, train it, show both tasks."""
    epochs = 2 if config.quick else config.epochs
    weights, drawn, tested, trained = jax.random.split(jax.random.key(config.seed), 4)
    data, test = examples(drawn), examples(tested)
    model, function = by_combinators(), by_function()
    specs = (jax.ShapeDtypeStruct((1, 10), jnp.float32), jax.ShapeDtypeStruct((1, 8), jnp.float32))
    summary = inspect.summary(model, specs)
    page.compare("parameters", summary.params, 28_670, source=COURSE)
    params, _ = jax.jit(lambda key: model.init(key, specs))(weights)
    ours, theirs = jax.jit(
        lambda p, x: (model.apply(p, {}, x)[0], function.apply(same_weights(p), {}, x)[0])
    )(params, data[0])
    difference = max(float(jnp.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    page.compare("largest difference of the two ways of writing it", difference, 0)
    result = train.fit(
        objective(model), optim.adam(1e-3), data, epochs=epochs, batch_size=50, key=trained,
        validation=test, progress=False,
    )  # fmt: skip
    for record in result.history.records:
        page.folder.append_metrics(record)
    error, accuracy = scores(model, result.params, test)
    variance = float(jnp.var(test[1][0]))
    page.compare("first head: squared error on test data", error, f"{variance:.3g} for the mean alone")
    page.compare("second head: test accuracy", accuracy, "0.5 by chance")
    numbers = np.arange(1, epochs + 1)
    series = {"training": (numbers, result.history["loss"]), "test": (numbers, result.history["val_loss"])}
    plots.lines(page.picture("loss.png"), "Two tasks at once", [("sum of both losses", series)], x="epoch")
    page.show(
        "Learning both tasks",
        "The loss is the sum of a squared error and a cross entropy; the layers before the heads learn from "
        "both.",
        "loss.png",
    )
    page.show("Its layers", f"```\n{summary}\n```")
    page.correct(
        COURSE,
        "`Input(sgape=...)`; `layer2 = Dense(...)(layer2)`, which uses a layer before it exists; "
        "`print(history)`; no comma after `nn.ReLU()` in the class for PyTorch, which also ends in two "
        "units where the other slide has one",
        "`Input(shape=...)`; `layer2 = Dense(...)(layer1)`; `print(history.history)`; a comma; one output "
        "each",
    )
    page.correct(
        COURSE,
        "`history['acc']` and `epochs (iterations)`",
        "`history['accuracy']` in later versions; an epoch is one pass, of ceil(examples / batch) iterations",
    )


EXPERIMENT = Experiment("two_inputs_two_outputs", "Two inputs, two outputs", Config, run)
