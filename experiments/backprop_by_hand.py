"""Back-propagation with a pencil: small printed networks, forward and backward, every number checked.

From the graph (x + y) z over one sigmoid unit to networks of 3-5-4 and 5-10-1 units: what flows forward, what
flows back, and the four equations of back-propagation evaluated by matrix products, layer by layer, beside
``jax.grad``. ``inspect.backprop_trace`` does that for any chain of layers. Losses are shown with and without
the 1e-7 that the course adds inside the logarithm, because the printed numbers contain it.

Run:     python -m experiments backprop_by_hand
Expect:  every printed number, and the four equations equal to jax.grad to 1e-12
Time:    about 8 s on two cores
Course:  Back-propagation - back-propagation
Course:  Deep learning, day 1 - back-propagation
Course:  From calculus to convolutional networks - back-propagation
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import printed_networks
from experiments.plots.network import network
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import inspect, losses

NOTEBOOK, DAY = "Back-propagation", "Deep learning, day 1"
EPSILON = 1e-7


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Printed networks; nothing in it is random."""


def itself(outputs: Any, _: Any) -> Any:
    """The output of a single unit as its own cost."""
    return outputs[..., 0]


def product(x: Any, y: Any, z: Any) -> Any:
    """The notebook's first graph."""
    return (x + y) * z


def neuron(w0: Any, x0: Any, w1: Any, x1: Any, w2: Any) -> Any:
    """The sigmoid unit, operation by operation."""
    return 1 / (1 + jnp.exp(-(w0 * x0 + w1 * x1 + w2)))


def trace(net: printed_networks.Printed, loss: Any) -> inspect.BackpropTrace:
    """Forward and backward pass of a printed network."""
    return inspect.backprop_trace(net.model, net.params, {}, net.x, net.target, loss)


def with_epsilon(probabilities: Any, target: Any) -> Any:
    """The course's cross entropy, ``-sum(d log(y + 1e-7))`` in nats."""
    return -jnp.sum(target * jnp.log(probabilities + EPSILON), axis=-1)


def traces() -> dict[str, inspect.BackpropTrace]:
    """The traces of all printed networks, in float64, by name."""
    with jax.enable_x64(True):
        return {
            "sigmoid neuron": trace(printed_networks.sigmoid_neuron(), itself),
            "rectified unit": trace(printed_networks.relu_unit(), itself),
            "three sigmoid units": trace(printed_networks.sigmoid_layer(), itself),
            "3-5-4 classifier": trace(printed_networks.classifier(), losses.cross_entropy),
            "3-5-4 regressor": trace(printed_networks.regressor(), losses.half_squared_error),
            "5-10-1 binary": trace(printed_networks.binary(), losses.binary_cross_entropy),
        }


def batch_gradients(n: int = 8) -> tuple[Any, Any]:
    """Gradient of the mean loss of a batch, and the mean of its examples' own gradients (3-5-4 regressor)."""
    with jax.enable_x64(True):
        net = printed_networks.regressor()
        x = net.x[None] + 0.1 * jnp.arange(float(n))[:, None]
        targets = jnp.broadcast_to(net.target[None], (n, 4))

        def loss(params: Any, batch: Any) -> Any:
            outputs, _ = net.model.apply(params, {}, batch[0])
            return jnp.mean(losses.half_squared_error(outputs, batch[1]))

        whole = jax.grad(loss)(net.params, (x, targets))
        each = inspect.per_example_gradients(loss, net.params, (x, targets))
        return jax.device_get((whole, jax.tree.map(lambda leaf: jnp.mean(leaf, 0), each)))


def run(config: Config, page: Page) -> None:
    """Trace every network, compare, and draw graphs and flows."""
    del config  # everything is printed, and small
    found = traces()
    page.show(
        "How to read the tables",
        "z is what arrives at a unit, a = g(z) what leaves it, and delta how much the cost changes when z "
        "does. Delta is computed once for each unit and used three times: for the bias, for the weights, "
        "and for the layer before. That is why back-propagation costs no more than a few forward passes.",
    )
    _graphs(page)
    _printed_numbers(page, found)
    net = found["3-5-4 classifier"]
    hidden, output = net.layers
    y = np.exp(output.z - output.z.max())
    network(
        page.picture("classifier.png"),
        "The 3-5-4 classifier: values above the units, errors below",
        [net.x, hidden.a, y / y.sum()],
        [net.input_gradient, hidden.delta, output.delta],
        [hidden.gradients["kernel"], output.gradients["kernel"]],
        ["input", "hidden, ReLU", "output, softmax"],
    )
    page.show(
        "What flows forward and back",
        "Lines are as thick as the gradient on their weight; blue ones are positive. The right class is "
        "the last one: its error is its probability minus 1, that of each other class is its probability. "
        "Descent makes the orange weights grow, which lead to the right class, and the blue ones shrink.",
        "classifier.png",
    )
    for name, one in found.items():
        page.show(f"Step by step: {name}", f"```text\n{one}\n```")
    whole, mean = batch_gradients()
    gap = max(jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), whole, mean)))
    page.compare(
        "gradient of the mean loss against the mean of gradients, largest gap", gap, "0", source=NOTEBOOK
    )
    worst = max(one.residual for one in found.values())
    page.compare("four equations against jax.grad, largest gap", worst, "0", source="jax.grad")
    _corrections(page)


def _graphs(page: Page) -> None:
    with jax.enable_x64(True):
        first = inspect.computation_graph(product, -2, 5, -4)
        unit = inspect.computation_graph(neuron, 2, -1, -3, -2, -3)
    inspect.draw(first, path=page.picture("product.png"))
    text = (
        "Values above the wires, gradients of the result below. A sum passes its gradient on to both "
        "inputs; a product passes it to each, multiplied by the other."
    )
    page.show("The graph of (x + y) z", text, "product.png")
    inspect.draw(unit, path=page.picture("neuron.png"))
    page.show("A sigmoid unit, operation by operation", picture="neuron.png")
    page.compare("f of the graph (x + y) z", first["product"].value, -12, source=NOTEBOOK)
    for name, value in (("x", -4), ("y", -4), ("z", 3), ("v1", -4)):
        told = "x + y" if name == "v1" else name
        page.compare(f"gradient of f with respect to {told}", first[name].gradient, value, source=NOTEBOOK)
    for name, value in (("x0", 0.3932238664829637), ("x1", -0.5898357997244456), ("w0", -0.19661193324148185),
                        ("w1", -0.3932238664829637), ("w2", 0.19661193324148185)):  # fmt: skip
        page.compare(f"sigmoid neuron, gradient of {name}", unit[name].gradient, repr(value), source=NOTEBOOK)


def _printed_numbers(page: Page, found: dict[str, inspect.BackpropTrace]) -> None:
    classifier, binary = found["3-5-4 classifier"].layers[1], found["5-10-1 binary"].layers[1]
    with jax.enable_x64(True):
        y = jax.nn.softmax(jnp.asarray(classifier.z))
        told = float(with_epsilon(y, printed_networks.classifier().target))
        p = jax.nn.sigmoid(jnp.asarray(binary.z))
        binary_told = float(with_epsilon(p, jnp.ones(1)))
    page.compare(
        "rectified unit, output", found["rectified unit"].layers[0].a[0], "5.156918698599194", source=DAY
    )
    for k, value in enumerate(("0.99917558", "0.99925397", "0.99932492")):
        page.compare(
            f"sigmoid unit {k}, output", found["three sigmoid units"].layers[0].a[k], value, source=DAY
        )
    for k, value in enumerate(("0.00443583", "0.44573018", "0.00541793", "0.54441607")):
        page.compare(f"3-5-4 classifier, probability of class {k}", y[k], value, source=DAY)
    page.compare(
        "3-5-4 classifier, loss with 1e-7 in the logarithm, nats", told, "0.6080413107681358", source=DAY
    )
    exact = found["3-5-4 classifier"].cost
    page.compare("the same without, nats", exact, "0.608041494451162", source="derived")
    cost = found["3-5-4 regressor"].cost
    page.compare("3-5-4 regressor, half the mean squared error", cost / 4, "8.141525", source=DAY)
    page.compare("the same, half the sum", cost, "32.5661", source="the course's formula")
    page.compare("the same, mean", cost / 2, "16.28305", source="derived")
    page.compare("5-10-1 network, logit", binary.z[0], "6.78", source=DAY)
    page.compare("5-10-1 network, probability", p[0], "0.99886501", source=DAY)
    page.compare(
        "5-10-1, loss with 1e-7 in the logarithm, nats", binary_told, "0.0011355297129812408", source=DAY
    )
    exact_binary = found["5-10-1 binary"].cost
    page.compare("the same without, nats", exact_binary, "0.00113562982660378", source="derived")
    page.table(
        "Both conventions of the cross entropy, with all digits",
        ("network", "with 1e-7: here", "printed", "without"),
        [
            ("3-5-4", f"{told:.16f}", "0.6080413107681358", f"{exact:.16f}"),
            ("5-10-1", f"{binary_told:.19f}", "0.0011355297129812408", f"{exact_binary:.19f}"),
        ],
        "The 1e-7 keeps the logarithm of 0 away, at the price of a loss that is slightly wrong everywhere. "
        "The library takes logits instead, where nothing can become 0: `losses.cross_entropy` is exact.",
    )


def _corrections(page: Page) -> None:
    page.correct(
        f"{NOTEBOOK}, second equation",
        "transposed weights from the left of a column of errors, while the matrices "
        "are of the row form, inputs by outputs",
        "delta = (delta_next W_next^T) * g'(z), as the notebook's own fourth step has it",
    )
    page.correct(
        f"{NOTEBOOK}, third and fourth equation",
        "the gradient of the weights as an element-wise product of a and delta; the bias is not named; dz is "
        "called a small change of a weight",
        "an outer product, a_before^T delta; the third equation is with respect to the bias; dz is a "
        "change of the weighted input",
    )
    page.correct(
        f"{DAY}, loss of the 5-10-1 network",
        "the loss for several classes, which is -log y whatever the target, and right only because d = 1",
        "binary cross entropy: 0.0011356 for d = 1, but 6.7811356 for d = 0",
    )
    page.correct(
        f"{DAY}, squared error",
        "the formula is half the sum, 32.5661, and 'the 1/2 is the average'; the number printed is 8.141525",
        "8.141525 is half the mean over four outputs; the 1/2 only cancels the 2 of the derivative",
    )
    page.correct(
        f"{DAY}, 'total output'", "14.6 and 66.8, which are sums of the hidden layer",
        "sums of the output: 27.98 and 0.99886501",
    )  # fmt: skip
    page.correct(
        f"{DAY}, backward pass", "the label dE/du2 twice; a plain y - d where a softmax is",
        "the second is dE/du1; y - d is right for softmax with cross entropy, for the sigmoid with binary "
        "cross entropy and for the identity with half the squared error",
    )  # fmt: skip


EXPERIMENT = Experiment("backprop_by_hand", "Back-propagation by hand", Config, run)
