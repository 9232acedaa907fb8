"""What training minimises: a pair of pure functions with the shape of a layer."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import Layer, Masked, describe, itself, reduced, spec_of
from jaxnn.losses._labels import check_labels, is_class_index
from jaxnn.metrics import Mean
from jaxnn.train._class_weight import counted
from jaxnn.train._fed_ids import check_fed_ids
from jaxnn.train._hidden import hidden, with_stand_ins, without_poison

PyTree = Any

RESERVED = ("loss", "epoch", "seconds", "examples_per_second", "skipped_steps")


class Terms(NamedTuple):
    """The loss of a batch before it is reduced.

    The loss that is differentiated is ``sum(weights * values) / sum(weights)`` with the sum of all
    weights, so that masks, token counts, unequal batches, accumulation and sharding are exact.

    Attributes:
        values: one loss for each example or position, ``[...]``.
        weights: of the same shape, or ``None`` for ones.
        aux: what else is reported: mergeable sums such as ``metrics.Mean`` by name.
    """

    values: Any
    weights: Any = None
    aux: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Objective:
    """A pair of pure functions; a VAE, a player of a GAN and a policy gradient are objectives too.

    Attributes:
        init: ``(key, batch) -> (params, state)``; ``batch`` is any pytree of arrays or specs.
        evaluate: ``(params, state, batch, *, key=None, train=False) -> (Terms, state)``.
        check: optional ``(params, state, data) -> None`` that raises if concrete data do not fit; ``fit``
            calls it once.
        report: optional ``(params, grads, updates, record) -> record``, which every step of training calls
            with what it has at hand; the mergeable sums that it returns join the step's record.
        outputs: optional ``(params, state, data) -> spec`` of the model's outputs for one example,
            ``[1, ..., classes]``; ``class_weight`` tells class numbers from one-hot targets by it.
    """

    init: Callable[..., tuple[Any, Any]]
    evaluate: Callable[..., tuple[Terms, Any]]
    check: Callable[[Any, Any, PyTree], None] | None = field(default=None)
    report: Callable[[Any, Any, Any, Mapping[str, Any]], Mapping[str, Any]] | None = field(default=None)
    outputs: Callable[[Any, Any, PyTree], PyTree] | None = field(default=None)

    __copy__ = __deepcopy__ = itself
    __reduce_ex__ = reduced


def supervised(
    model: Layer,
    loss: Callable[[Any, Any], Any],
    metrics: Iterable[Callable[..., Any]] | Mapping[str, Callable[..., Any]] = (),
    penalty: Callable[[Any], Any] | None = None,
) -> Objective:
    """Make the objective of a model that maps inputs to targets.

    Batches are ``(inputs, targets)`` or ``(inputs, targets, weights)``; each may be a pytree. Weights
    ``[batch]`` (or ``[batch, time]``) multiply losses and metrics. Where the outputs or targets are
    ``Masked``, padding has weight 0. Where the weight is 0, the first inputs that count stand in for those
    that are not finite, and for the integers (ids) of an example that weighs nothing at all; targets may be
    anything: none of it reaches a gradient, a metric or the state. Finite inputs of weight 0 still enter the
    statistics that a layer takes of a batch, as ``batch_norm`` does; ``Masked`` inputs keep them out.

    Args:
        model: the layer.
        loss: ``(outputs, targets) -> values [batch, ...]``, reducing the last axis only. One that takes
            ``output_mask`` and ``target_mask`` by name, as ``losses.ctc`` does, is given the masks (or
            ``None``) and uses them itself.
        metrics: functions ``(outputs, targets, weights) -> mergeable sum``, reported under their
            ``__name__``, or a mapping from names of your own. Options are bound by ``functools.partial``.
        penalty: ``params -> scalar`` added to the loss.

    Raises:
        TypeError: ``model`` is not a layer; at use, the batch is no tuple of two or three.
        ValueError: two metrics share a name; at use, ``loss`` reduces the batch, or weights do not fit.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import losses, metrics, train
        >>> task = train.supervised(nn.dense(3), losses.cross_entropy, metrics=(metrics.accuracy,))
        >>> batch = jnp.ones((4, 2)), jnp.array([0, 1, 2, 0])
        >>> params, state = task.init(jax.random.key(0), batch)
        >>> terms, _ = task.evaluate(params, state, batch)
        >>> terms.values.shape, list(terms.aux)
        ((4,), ['accuracy'])
    """
    if not isinstance(model, Layer):
        raise TypeError(
            f"supervised: model must be a Layer, got {describe(model)}; wrap a function in nn.chain"
        )
    if not callable(loss):
        raise TypeError(f"supervised: loss must be a function (outputs, targets) -> values, got {loss!r}")
    named = _named(metrics)
    aligns = _takes_masks(loss)

    def init(key: Any, batch: PyTree) -> tuple[Any, Any]:
        inputs, _, _ = _unpack(batch)
        return model.init(key, spec_of(inputs))

    def evaluate(
        params: Any, state: Any, batch: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[Terms, Any]:
        inputs, targets, weights = _unpack(batch)
        if weights is not None:
            inputs = without_poison(inputs, weights != 0)
        outputs, state = model.apply(params, state, inputs, key=key, train=train)
        outputs, targets, masks = _unmask(outputs, targets)
        mask = None if aligns else _combined(**masks)
        parts = (mask, None if weights is None else weights != 0)
        outputs = hidden(outputs, parts)
        # Padding is often marked by what is no class, which a loss called outside of jit would refuse.
        targets = with_stand_ins(targets, parts, jnp.inexact if aligns else jnp.number)
        values = loss(outputs, targets, **masks) if aligns else loss(outputs, targets)
        _check_values(values, inputs)
        weights = _fit_weights(weights, mask, values)
        aux = {name: _sums(name, metric(outputs, targets, weights)) for name, metric in named.items()}
        if penalty is not None:
            values = values + jnp.broadcast_to(jnp.asarray(penalty(params), values.dtype), values.shape)
        return Terms(values, weights, aux), state

    def spec(params: Any, state: Any, data: PyTree) -> Any:
        inputs, _, _ = _unpack(data)
        sample = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), inputs)
        key = jax.eval_shape(jax.random.key, 0)
        return jax.eval_shape(lambda p, s, x, k: model.apply(p, s, x, key=k)[0], params, state, sample, key)

    def spec_of_classes(params: Any, state: Any, data: PyTree) -> Any:
        if aligns:
            raise TypeError(
                "fit: class_weight needs one label for each loss, and this loss aligns labels with outputs; "
                "multiply the weights of (inputs, targets, weights) by your own"
            )
        return spec(params, state, data)

    def check(params: Any, state: Any, data: PyTree) -> None:
        inputs, targets, weights = _unpack(data)
        check_fed_ids(model, params, state, inputs, weights)
        outputs = spec(params, state, data)
        parts = [part for part in (targets, inputs) if isinstance(part, Masked)]
        outputs = outputs.value if isinstance(outputs, Masked) else outputs
        labels = targets.value if isinstance(targets, Masked) else targets
        if not (hasattr(outputs, "shape") and hasattr(labels, "shape")):
            return
        if not is_class_index(outputs, jax.ShapeDtypeStruct((1, *labels.shape[1:]), labels.dtype)):
            return
        real = [*(part.mask for part in parts), *([] if weights is None else [weights != 0])]
        check_labels("supervised", np.asarray(labels)[counted(labels.shape, real)], outputs.shape[-1])

    return Objective(init, evaluate, check, outputs=spec_of_classes)


def _sums(name: str, found: Any) -> Any:
    if not hasattr(found, "compute"):
        raise TypeError(
            f"supervised: the metric {name!r} must return a mergeable sum, got {describe(found)}; return "
            "metrics.Mean.of(values, weights) with one value for each example"
        )
    return found


def _named(metrics: Any) -> dict[str, Callable[..., Any]]:
    named: dict[str, Any]
    if isinstance(metrics, Mapping):
        named = dict(metrics)
    else:
        listed = [metrics] if callable(metrics) or isinstance(metrics, str) else list(metrics)
        names = [_name(metric) for metric in listed]
        if len(set(names)) < len(names):
            raise ValueError(
                f"supervised: two metrics share a name in {names}; pass a mapping of names of your own"
            )
        named = dict(zip(names, listed, strict=True))
    wrong = [name for name, metric in named.items() if not callable(metric)]
    if wrong:
        raise TypeError(
            f"supervised: metrics must be functions (outputs, targets, weights) -> sums, "
            f"got {named[wrong[0]]!r}; pass metrics.accuracy itself, not its name"
        )
    reserved = _clashing(named)
    if reserved:
        raise ValueError(
            f"supervised: metrics can't be called {reserved}, which records use themselves; rename them, "
            "as in metrics={'another_name': metric}"
        )
    return named


def _clashing(names: Iterable[str]) -> list[str]:
    """Which names a record needs itself, those of the validation included: ``val_`` before a name."""
    names = set(names)
    return sorted(names & {*RESERVED, "", *(f"val_{name}" for name in {"loss", *names})})


def _name(metric: Any) -> str:
    while isinstance(metric, functools.partial):
        metric = metric.func
    return getattr(metric, "__name__", str(metric))


def _unpack(batch: PyTree) -> tuple[Any, Any, Any]:
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        raise TypeError(
            "supervised: a batch must be (inputs, targets) or (inputs, targets, weights), "
            f"got {describe(batch)}"
        )
    inputs, targets, *rest = batch
    weights: Any = rest[0] if rest else None
    if hasattr(weights, "dtype") and jnp.issubdtype(weights.dtype, jnp.bool_):
        weights = weights.astype(np.float32)
    return inputs, targets, weights


def _unmask(outputs: Any, targets: Any) -> tuple[Any, Any, dict[str, Any]]:
    trees = {"output_mask": outputs, "target_mask": targets}
    masks = {name: tree.mask if isinstance(tree, Masked) else None for name, tree in trees.items()}
    outputs, targets = (tree.value if isinstance(tree, Masked) else tree for tree in trees.values())
    return outputs, targets, masks


def _combined(output_mask: Any, target_mask: Any) -> Any:
    if output_mask is None or target_mask is None:
        return target_mask if output_mask is None else output_mask
    if output_mask.shape != target_mask.shape:
        raise ValueError(
            f"supervised: the masks of outputs and targets must have one shape, got "
            f"{describe(output_mask)} and {describe(target_mask)}; a loss that aligns the two takes "
            "output_mask and target_mask by name"
        )
    return output_mask & target_mask


def _takes_masks(loss: Callable[..., Any]) -> bool:
    try:
        return {"output_mask", "target_mask"} <= set(inspect.signature(loss).parameters)
    except (TypeError, ValueError):
        return False


def _check_values(values: Any, inputs: Any) -> None:
    size = jax.tree.leaves(inputs)[0].shape[:1]
    if values.shape[:1] != size:
        raise ValueError(
            "supervised: the loss must return one value for each example, "
            f"[{', '.join(map(str, size))}, ...], got {describe(values)}; reduce the last axis only"
        )


def _fit_weights(weights: Any, mask: Any, values: Any) -> Any:
    combined = None
    for part, what in ((weights, "weights"), (mask, "mask")):
        if part is None:
            continue
        if values.shape[: part.ndim] != part.shape:
            raise ValueError(
                f"supervised: the shape of the {what} must be a prefix of the losses', "
                f"got {describe(part)} for {describe(values)}"
            )
        part = jnp.broadcast_to(
            jnp.expand_dims(part.astype(values.dtype), tuple(range(part.ndim, values.ndim))), values.shape
        )
        combined = part if combined is None else combined * part
    return combined


def checked_terms(terms: Any) -> Terms:
    """Return ``terms`` if they are what an objective's ``evaluate`` must return."""
    if not isinstance(terms, Terms):
        raise TypeError(
            f"Objective: evaluate must return (Terms(values, weights, aux), state), "
            f"got {describe(terms)} for the first; wrap the losses of the examples in train.Terms"
        )
    reserved = _clashing(terms.aux)
    if reserved:
        raise ValueError(f"Objective: aux can't hold {reserved}, which records use themselves; rename them")
    return terms


def reduce_terms(terms: Terms) -> Mean:
    """Sum the values of ``terms`` with their weights; a value of weight 0 does not count."""
    return Mean.of(terms.values, terms.weights)
