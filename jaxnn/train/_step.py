"""One step of descent as a pure function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnn.core import describe, is_traced, non_negative
from jaxnn.train._objective import Objective, checked_terms, reduce_terms
from jaxnn.train._state import TrainState

Record = dict[str, Any]
Step = Callable[[TrainState, Any], tuple[TrainState, Record]]


def make_step(
    objective: Objective, optimizer: optax.GradientTransformation, *, ema: float | None = None
) -> Step:
    """Return the compiled step ``(train_state, batch) -> (train_state, record)``.

    The step is pure: call it in your own loop, or inside ``lax.scan``, ``vmap`` or your own ``jit`` with
    ``donate_argnums=0``. ``record`` holds mergeable sums, ``loss`` and the objective's metrics;
    ``record["loss"].compute()`` is the batch's mean. The optimizer is passed ``value``, ``grad`` and
    ``weight`` (the sum of the batch's weights), for rules that want them. Where it is
    ``optim.dynamic_loss_scale``, the loss is scaled for it and ``record["skipped_steps"]`` counts.

    Args:
        objective: what is minimised.
        optimizer: an ``optax.GradientTransformation``.
        ema: decay of the moving average of the parameters, for a ``TrainState`` created with
            ``ema=True``; it starts faster, as ``min(ema, (1 + t) / (10 + t))`` at step ``t``.

    Raises:
        ValueError: ``ema`` is not in [0, 1).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import losses, optim, train
        >>> task = train.supervised(nn.dense(1), losses.squared_error)
        >>> batch = jnp.ones((4, 2)), jnp.ones((4, 1))
        >>> rule = optim.sgd(0.1)
        >>> state = train.TrainState.create(task, rule, jax.random.key(0), batch)
        >>> step = train.make_step(task, rule)
        >>> for _ in range(20):
        ...     state, record = step(state, batch)
        >>> bool(record["loss"].compute() < 1e-3), int(state.step)
        (True, 20)
    """
    return jax.jit(pure_step(objective, optimizer, ema))


def check_parts(owner: str, objective: Any, optimizer: Any) -> None:
    """Raise unless the two are an ``Objective`` and a gradient transformation."""
    if not isinstance(objective, Objective):
        raise TypeError(
            f"{owner}: objective must be an Objective, got {describe(objective)}; "
            "train.supervised(model, loss) makes one"
        )
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            f"{owner}: optimizer must be a gradient transformation, got {optimizer!r}; "
            "call its factory, as in optim.adam(1e-3)"
        )


def pure_step(objective: Objective, optimizer: optax.GradientTransformation, ema: float | None) -> Step:
    """Return the step uncompiled, for loops that compile around it."""
    if ema is not None:
        non_negative("make_step", "ema", ema)
        if not is_traced(ema) and ema >= 1:
            raise ValueError(f"make_step: ema must be in [0, 1), got {ema}; 0.999 is usual")
    check_parts("make_step", objective, optimizer)
    rule = optax.with_extra_args_support(optimizer)

    def loss(
        params: Any, state: Any, batch: Any, key: Any, scale: Any
    ) -> tuple[Any, tuple[Any, Any, Record]]:
        terms, state = objective.evaluate(params, state, batch, key=key, train=True)
        mean = reduce_terms(checked_terms(terms))
        value = mean.compute()
        scaled = value if scale is None else value * scale.astype(value.dtype)
        return scaled, (value, state, {"loss": mean, **terms.aux})

    def step(train_state: TrainState, batch: Any) -> tuple[TrainState, Record]:
        params = train_state.params
        key = jax.random.fold_in(train_state.key, train_state.step)
        scale = _loss_scale(train_state.opt_state)
        gradient = jax.grad(loss, has_aux=True)
        grads, (value, state, record) = gradient(params, train_state.state, batch, key, scale)
        weight = record["loss"].weight
        grads = _gathered(grads)
        updates, opt_state = rule.update(
            grads, train_state.opt_state, params, value=value, grad=grads, weight=weight
        )
        if objective.report is not None:
            plain = grads if scale is None else jax.tree.map(lambda g: g / scale.astype(g.dtype), grads)
            record |= objective.report(params, plain, updates, record)
        params = optax.apply_updates(params, updates)
        average = train_state.ema
        if ema is not None:
            average = _average(average, params, train_state.step, ema)
        new = TrainState(params, state, opt_state, train_state.key, train_state.step + 1, average)
        if scale is not None:
            before: Any = train_state.opt_state
            after: Any = opt_state
            record["skipped_steps"] = after.skipped - before.skipped
        return new, jax.lax.stop_gradient(record)

    return step


def _loss_scale(opt_state: Any) -> Any:
    """Return what the loss must be multiplied by, where the optimizer keeps a loss scale, else ``None``."""
    scale = getattr(opt_state, "loss_scale", None)
    inner = optax.tree_utils.tree_get_all_with_path(opt_state, "loss_scale", _is_field)
    if scale is None and inner:
        raise ValueError(
            "make_step: a rule with a loss scale stands inside another, which would be given scaled "
            "gradients; make it the outermost, as in optim.dynamic_loss_scale(optax.chain(clip, rule))"
        )
    return scale


def _is_field(path: tuple[Any, ...], _leaf: Any) -> bool:
    """Whether a path ends in a field of a rule's state; a parameter may be called so too."""
    return isinstance(path[-1], optax.tree_utils.NamedTupleKey)


def _gathered(grads: Any) -> Any:
    """Return equal gradients, each of which depends on all of them where that is faster (CPU).

    XLA updates a weight in place only after its last reader in the backward pass, and cannot see that
    order; it copies every weight but the first at every step instead. The dependency shows it, for 6 % of
    an epoch of a three-layer perceptron.
    """
    leaves = [leaf for leaf in jax.tree.leaves(grads) if leaf.size]
    if len(leaves) < 2:
        return grads

    def zero(*leaves: Any) -> Any:
        total = jnp.asarray(sum(leaf.ravel()[0].astype(jnp.float32) for leaf in leaves))
        return jnp.where(jnp.isfinite(total), total, 0) * 0

    def no_zero(*leaves: Any) -> Any:
        del leaves
        return jnp.zeros((), jnp.float32)

    nothing = jax.lax.platform_dependent(*leaves, cpu=zero, default=no_zero)
    return jax.tree.map(lambda leaf: leaf + nothing.astype(leaf.dtype), grads)


def _average(average: Any, params: Any, step: Any, decay: float) -> Any:
    if average is None:
        raise ValueError("make_step: ema is on, but the TrainState has no average; create it with ema=True")
    count = step.astype(jnp.float32)
    keep = jnp.minimum(jnp.asarray(decay, jnp.float32), (1 + count) / (10 + count))

    def blend(old: Any, new: Any) -> Any:
        share = keep.astype(old.dtype)
        return share * old + (1 - share) * new.astype(old.dtype)

    return jax.tree.map(blend, average, params)


def record_spec(step: Step, train_state: TrainState, batch: Any) -> Record:
    """Return the spec of the records of steps on such batches."""
    return jax.eval_shape(step, train_state, batch)[1]


def empty_record(spec: Record) -> Record:
    """Return a record of zeros, to which others of its spec can be merged."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), spec)


def computed(record: Record) -> dict[str, Any]:
    """Finish each mergeable sum: a float for a scalar, a NumPy array for the rest; the loss comes first."""
    values = jax.device_get(finished(record))
    names = ["loss", *(name for name in values if name != "loss")]
    return {name: float(v) if (v := values[name]).ndim == 0 else v for name in names}


@jax.jit
def finished(record: Record) -> Record:
    """Return what each mergeable sum computes to."""
    return {name: sums.compute() if hasattr(sums, "compute") else sums for name, sums in record.items()}
