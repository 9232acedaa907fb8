"""How gradients and activations flow through the layers, measured by every step of training itself."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Masked,
    Probe,
    describe,
    filled,
    split_records,
    spread_mask,
    wide_dtype,
    with_probe,
)
from jaxnn.inspect._calls import is_leaf, named_calls
from jaxnn.metrics import Mean
from jaxnn.train import Objective


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RootMean(Mean):
    """A mergeable sum whose result is the root of the mean: a norm or a root mean square over steps."""

    def compute(self) -> Any:
        """Return the root of the mean."""
        return jnp.sqrt(super().compute())


def gradient_flow(objective: Objective) -> Objective:
    """Return ``objective`` with the statistics of every layer in the records of training.

    One line in any loop: ``train.fit(inspect.gradient_flow(task), ...)``, ``make_epoch`` and ``make_step``
    do the rest, inside what they compile; no weights or activations leave the device. A record of
    ``make_step`` is that of one step (``lax.scan`` over it stacks one for each); those of epochs are root
    mean squares over their steps (means, for means and shares). The loss and its gradient stay what they
    are. Without this function nothing of it is computed.

    For each layer with parameters, by path:

    - ``gradient_norm.<path>``: norm of the loss's gradient with respect to them;
    - ``update_ratio.<path>``: norm of the step's change of them, divided by their own norm; 1e-3 is usual.

    For the output of each layer that has no layers inside (only real positions of a ``Masked``), where the
    objective hands its state on to the model:

    - ``activation_mean.<path>``, ``activation_rms.<path>``: mean and root mean square;
    - ``activation_zero.<path>``: share of zeros, such as units of a ReLU that are off.

    Copies under ``repeat`` have one number each, as an array. A vanishing gradient falls from the last layer
    to the first; Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks".

    Raises:
        TypeError: ``objective`` is not an ``Objective``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import inspect, losses, optim, train
        >>> task = train.supervised(nn.chain(nn.dense(4), jnp.tanh, nn.dense(1)), losses.squared_error)
        >>> data = jax.random.normal(jax.random.key(0), (32, 3)), jnp.ones((32, 1))
        >>> result = train.fit(inspect.gradient_flow(task), optim.sgd(0.1), data, epochs=2,
        ...                    key=jax.random.key(0), progress=False)
        >>> [name for name in result.history if name.startswith("gradient_norm")]
        ['gradient_norm.dense_0', 'gradient_norm.dense_1']
    """
    if not isinstance(objective, Objective):
        raise TypeError(
            f"gradient_flow: expected an Objective, got {describe(objective)}; "
            "train.supervised(model, loss) makes one"
        )

    def evaluate(params: Any, state: Any, batch: Any, *, key: Any = None, train: bool = False) -> Any:
        if not train:
            return objective.evaluate(params, state, batch, key=key, train=False)
        probed = with_probe(state, Probe(_statistics))
        terms, new = objective.evaluate(params, probed, batch, key=key, train=True)
        new, records = split_records(new)
        return terms._replace(aux={**terms.aux, **_activations(records)}), new

    def report(params: Any, grads: Any, updates: Any, record: Mapping[str, Any]) -> dict[str, Any]:
        inner = {} if objective.report is None else objective.report(params, grads, updates, record)
        found: dict[str, Any] = dict(inner)
        weights, changes = _by_layer(params), _by_layer(updates)
        for path, own in _by_layer(grads).items():
            copies = _copies(path, record)
            found[f"gradient_norm.{path}"] = _one_step(_square(own, copies))
            size = _square(weights[path], copies)
            ratio = _square(changes[path], copies) / jnp.where(size == 0, 1, size)
            found[f"update_ratio.{path}"] = _one_step(jnp.where(size == 0, 0, ratio))
        return found

    return replace(objective, evaluate=evaluate, report=report)


def _statistics(_: Any, y: Any) -> dict[str, Any]:
    """The sums of one output; none unless it is one floating-point array."""
    value, weights = (filled(y), spread_mask(y.mask, y.value.shape)) if isinstance(y, Masked) else (y, None)
    if not hasattr(value, "dtype") or not jnp.issubdtype(value.dtype, jnp.floating):
        return {}
    value = jax.lax.stop_gradient(value).astype(wide_dtype(value.dtype))
    weights = None if weights is None else weights.astype(value.dtype)
    square = Mean.of(value**2, weights)
    return {
        "mean": Mean.of(value, weights),
        "rms": RootMean(square.total, square.weight),
        "zero": Mean.of((value == 0).astype(value.dtype), weights),
    }


def _activations(records: dict[str, Any]) -> dict[str, Any]:
    calls = named_calls(records)
    paths = [path for path, _ in calls]
    return {
        f"activation_{name}.{path}": sums
        for path, call in calls
        if is_leaf(path, paths)
        for name, sums in call.found.items()
    }


def _by_layer(tree: Any) -> dict[str, list[Any]]:
    """The arrays of each layer, by its path; those of a model without children are called ``model``."""
    layers: dict[str, list[Any]] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        names = [str(getattr(entry, "key", getattr(entry, "idx", entry))) for entry in path[:-1]]
        layers.setdefault(".".join(names) or "model", []).append(leaf)
    return layers


def _copies(path: str, record: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape of the axes along which copies of the layer are stacked, as its activations have it."""
    for name in (f"activation_rms.{path}", f"activation_rms.{path}[0]"):
        if name in record:
            return record[name].total.shape
    return ()


def _square(leaves: list[Any], copies: tuple[int, ...]) -> Any:
    """Sum of squares, for each copy."""

    def one(leaf: Any) -> Any:
        wide = jnp.abs(leaf).astype(wide_dtype(jnp.abs(leaf).dtype))
        return jnp.sum(wide**2, tuple(range(len(copies), leaf.ndim)))

    return functools.reduce(jnp.add, map(one, leaves))


def _one_step(square: Any) -> RootMean:
    return RootMean(square, jnp.ones_like(square))
