"""A thin loop around the compiled epoch: everything that needs the host, and nothing else."""

import functools
import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn.core import check_key, kept, one_of, positive_int
from jaxnn.train._cause import cause
from jaxnn.train._data import check_rereadable, first_batch, placed, split_validation, weigh_classes
from jaxnn.train._early_stopping import Policy
from jaxnn.train._epoch import LAST_BATCH, check_batch_size, check_sliceable, examples, steps_per_epoch
from jaxnn.train._evaluate import is_batches, make_evaluate, sums
from jaxnn.train._fitting_state import check_train_state
from jaxnn.train._history import History
from jaxnn.train._interrupt import Interrupt, InterruptedReadingError
from jaxnn.train._objective import Objective
from jaxnn.train._progress import make_progress
from jaxnn.train._runs import compiled_epochs, epochs_of_batches
from jaxnn.train._start import created
from jaxnn.train._state import TrainState
from jaxnn.train._step import Record, check_parts, computed, finished


@dataclass(frozen=True)
class Result:
    """What ``fit`` returns.

    Attributes:
        params: the parameters to use: the best ones under early stopping, else the last; averaged ones
            where ``ema`` is on.
        state: the state that belongs to them.
        train_state: the whole of the run at its end, with which ``fit`` can go on.
        history: one record for each epoch.
        stopped: ``None`` after all epochs, else why the run ended before:
            ``"early stopping"``, ``"interrupted"`` or ``"non-finite loss: ..."`` with the likely cause.
        best_epoch: epoch of ``params`` under early stopping, else ``None``.
    """

    params: Any
    state: Any
    train_state: TrainState
    history: History
    stopped: str | None = None
    best_epoch: int | None = None

    def __repr__(self) -> str:
        return (
            f"Result(epochs={len(self.history.records)}, stopped={self.stopped!r}, last={self.history.last})"
        )


def fit(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    data: Any,
    *,
    epochs: int,
    batch_size: int = 32,
    key: Any,
    validation: Any = None,
    validation_split: float | None = None,
    class_weight: Mapping[int, float] | Any = None,
    early_stopping: Policy | None = None,
    ema: float | None = None,
    callbacks: Iterable[Callable[..., Any]] = (),
    progress: bool | None = None,
    shuffle: bool = True,
    last_batch: str = "keep",
    train_state: TrainState | None = None,
) -> Result:
    """Train for some epochs and return the parameters and the history.

    The loop over steps is compiled once (``make_epoch``) and run in pieces of less than half a second,
    between which the host shows progress, hears Ctrl-C and stops at a loss that is not finite. However
    the pieces fall, a seed gives the same bits on one machine. Initial parameters are those of
    ``TrainState.create`` but for the last digit, since they are compiled as a whole.

    Args:
        objective: what is minimised, as ``supervised`` makes it.
        optimizer: an ``optax.GradientTransformation``.
        data: ``(inputs, targets)`` or ``(inputs, targets, weights)`` for ``supervised``, in general any
            pytree of arrays with a common first axis; or a list or other iterable of batches.
        epochs: passes over the data.
        batch_size: examples in a batch; the last one of an epoch may be smaller, see ``last_batch``. Not used
            for batches.
        key: the run's typed key: initial parameters, order of examples, dropout.
        validation: data evaluated after each epoch, in any form that ``data`` may have. A model that can't
            be evaluated without a key draws the same numbers in each epoch, so that only what was learned
            makes a difference: those of ``train.evaluate(..., key=result.train_state.key)``.
        validation_split: instead, the last share of ``data`` to keep for that.
        class_weight: weight of each class, by label or as an array, which multiplies the weights of the data.
            The shapes of targets and outputs tell class numbers, one a position, from one-hot targets.
        early_stopping: a policy, as ``train.early_stopping()`` makes it.
        ema: decay of a moving average of the parameters, which are then evaluated and returned.
        callbacks: functions called after each epoch with its record, a dict; those that require a second
            argument get a copy of the ``TrainState`` too.
        progress: ``True`` shows a bar, ``False`` nothing, ``None`` a bar on a terminal and else a line an
            epoch.
        shuffle: whether to draw a new order of examples each epoch.
        last_batch: what becomes of the examples at the end of an epoch that do not fill a batch: ``"keep"``
            trains them as a smaller one, ``"drop"`` leaves them out (others in each epoch, if shuffled),
            ``"merge"`` adds them to the batch before. Layers that need statistics, as ``batch_norm`` does,
            can't train on a last batch of one example.
        train_state: a state from which to go on, in place of new parameters; epochs are counted on.

    A record holds ``epoch``, ``loss`` and the objective's metrics, the same with ``val_`` before them,
    ``seconds`` (of training) and ``examples_per_second``; that of an epoch cut short has no ``val_``.

    Raises:
        TypeError: ``key`` is not a typed key.
        ValueError: data, labels, batch size, ``train_state`` or another argument do not fit.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import losses, optim, train
        >>> x = jax.random.normal(jax.random.key(1), (64, 2))
        >>> task = train.supervised(nn.dense(1), losses.squared_error)
        >>> result = train.fit(task, optim.sgd(0.1), (x, x @ jnp.array([[1.0], [2.0]])),
        ...                    epochs=20, key=jax.random.key(0), progress=False)
        >>> result.params["kernel"].round(2).tolist()
        [[1.0], [2.0]]
    """
    check_key("fit", key)
    check_parts("fit", objective, optimizer)
    if early_stopping is not None and not isinstance(early_stopping, Policy):
        raise TypeError(
            f"fit: early_stopping must be a policy, got {early_stopping!r}; "
            "pass train.early_stopping(patience=5)"
        )
    epochs = positive_int("fit", "epochs", epochs)
    listeners = [_listener(callback, objective) for callback in callbacks]
    data, validation = _prepared(objective, data, validation, validation_split, class_weight)
    batched = is_batches(data)
    one_of("fit", "last_batch", last_batch, LAST_BATCH)
    if batched and last_batch != "keep":
        raise ValueError(f"fit: last_batch={last_batch!r} needs arrays, not batches; make the batches so")
    for part in (data, validation):
        if is_batches(part):
            check_rereadable(part, epochs)
    if validation is not None and not is_batches(validation) and not examples("fit", validation):
        raise ValueError("fit: there are no examples in validation; pass at least one, or None")
    if batched:
        sample, data = first_batch(data)
    else:
        check_batch_size("fit", positive_int("fit", "batch_size", batch_size), examples("fit", data))
        check_sliceable("fit", data)
        sample = kept(objective, _first_example, most=4)(data)
    origin = (objective, optimizer, key, sample, ema is not None)
    current = created(*origin) if train_state is None else _taken_over(train_state, *origin)
    if class_weight is not None and objective.outputs is not None:
        # The model's outputs tell class numbers from one-hot targets.
        outputs = objective.outputs(current.params, current.state, sample)
        data = weigh_classes(data, class_weight, outputs)
        sample = kept(objective, _first_example)(data)
    done = 0
    if not batched:
        done = int(current.step) // steps_per_epoch(examples("fit", data), batch_size, last_batch)
    for part in (data, validation):
        if objective.check is not None and part is not None and not is_batches(part):
            objective.check(current.params, current.state, part)
    draws = _rehearse(objective, current, sample, validation, early_stopping)
    if batched:
        runs = epochs_of_batches(objective, optimizer, data, epochs, ema)
    else:
        runs = compiled_epochs(objective, optimizer, data, epochs, batch_size, ema, shuffle, last_batch)
    evaluate = None if validation is None else make_evaluate(objective, max(batch_size, 1024))

    shown = make_progress(progress, done + epochs)
    history = History()
    stopping = None if early_stopping is None else early_stopping.init
    best: tuple[Any, Any] | None = None
    stopped = None
    try:
        with Interrupt() as interrupt:
            for epoch, run in enumerate(runs, done + 1):
                began = time.perf_counter()
                outcome = run(current, epoch, interrupt, shown)
                current, stopped = outcome.train_state, outcome.stopped
                if outcome.suspects:
                    start = created(*origin) if train_state is None else train_state
                    updated = int(current.step) > int(start.step) + 1
                    stopped = f"{stopped}; {cause(objective, start, outcome.suspects, updated)}"
                if outcome.record is None:
                    break
                record: dict[str, Any] = {"epoch": epoch, **computed(outcome.record)}
                seconds = time.perf_counter() - began
                weights = _weights(current, ema)
                if stopped is None and evaluate is not None:
                    part: Any = validation
                    part = interrupt.read(part) if is_batches(part) else part
                    try:
                        scores = evaluate(*weights, part, current.key if draws else None)
                    except InterruptedReadingError:
                        scores, stopped = {}, "interrupted"
                    record.update({f"val_{name}": value for name, value in scores.items()})
                record.update(seconds=seconds, examples_per_second=outcome.examples / seconds)
                history.records.append(record)
                shown.finish(record)
                for listener in listeners:
                    listener(record, current)
                if stopped is None and early_stopping is not None and stopping is not None:
                    stopping = early_stopping.update(stopping, record)
                    if stopping.best_epoch == epoch:
                        best = _copied(objective, weights)
                    stopped = "early stopping" if stopping.stop else None
                if stopped is None and interrupt.requested and epoch < done + epochs:
                    stopped = "interrupted"
                if stopped is not None:
                    break
    finally:
        shown.close()
    params, state = best or _copied(objective, _weights(current, ema))
    best_epoch = stopping.best_epoch if stopping is not None and best is not None else None
    return Result(params, state, current, history, stopped, best_epoch)


def _copied(objective: Objective, tree: Any) -> Any:
    return kept(objective, _copy)(tree)


def _copy(_objective: Objective) -> Callable[[Any], Any]:
    return functools.partial(jax.tree.map, jnp.copy)


def _first(data: Any) -> Any:
    return jax.tree.map(lambda x: x[:1], data)


def _first_example(_objective: Objective) -> Callable[[Any], Any]:
    return _first


def _listener(
    callback: Callable[..., Any], objective: Objective
) -> Callable[[dict[str, Any], TrainState], Any]:
    """Give a callback the arguments that it takes: the state only if it requires a second one."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]
    if len(required) < 2:
        return lambda record, _: callback(record)
    # The loop consumes its state in the next epoch; a callback may keep this one.
    return lambda record, state: callback(record, _copied(objective, state))


def _taken_over(
    train_state: Any, objective: Objective, optimizer: Any, _key: Any, sample: Any, ema: bool
) -> TrainState:
    """Return a copy of the caller's state, which the compiled loop may consume."""
    if not isinstance(train_state, TrainState):
        raise TypeError(
            f"fit: train_state must be a TrainState, got {train_state!r}; pass result.train_state"
        )
    if (train_state.ema is not None) != ema:
        has, asked = ("has no", "asks for one") if ema else ("has an", "gives no decay")
        raise ValueError(f"fit: train_state {has} average of the weights, and ema {asked}; make them agree")
    check_train_state(objective, optimizer, train_state, sample)
    return _copied(objective, train_state)


def _weights(current: TrainState, ema: float | None) -> tuple[Any, Any]:
    """Return the parameters that are evaluated and returned, and the state that belongs to them."""
    if ema is None:
        return current.params, current.state
    averaged = jax.tree.map(lambda a, p: a.astype(p.dtype), current.ema, current.params)
    return averaged, current.state


def _rehearse(
    objective: Objective, current: TrainState, sample: Any, validation: Any, policy: Policy | None
) -> bool:
    """Find what would fail after the first epoch before it: evaluation by shapes, and the monitored name.

    Returns:
        Whether evaluation needs a key. One that does not gets none, whatever it would do with it.
    """

    def recorded(part: Any, key: Any) -> dict[str, Any]:
        def run(params: Any, state: Any, part: Any, key: Any) -> Record:
            return finished(sums(objective, params, state, part, key))

        specs = jax.eval_shape(run, current.params, current.state, part, key)
        return {name: np.zeros(spec.shape) if spec.shape else 0.0 for name, spec in specs.items()}

    def all_recorded(key: Any) -> dict[str, Any]:
        record = recorded(sample, key)
        if validation is not None:
            part = sample if is_batches(validation) else jax.eval_shape(_first, validation)
            record.update({f"val_{name}": value for name, value in recorded(part, key).items()})
        return record

    draws = False
    try:
        record = all_recorded(None)
    except Exception:
        # An objective of one's own may fail in its own way without a key; with one it says what is wrong.
        record, draws = all_recorded(current.key), True
    if policy is not None:
        policy.update(policy.init, {"epoch": 1, **record})
    return draws


def _prepared(
    objective: Objective, data: Any, validation: Any, share: float | None, class_weight: Any
) -> tuple[Any, Any]:
    if validation is not None and share is not None:
        raise ValueError("fit: give validation or validation_split, not both")
    if is_batches(data):
        if share is not None or class_weight is not None:
            raise ValueError(
                "fit: validation_split and class_weight need arrays, not batches; split and weigh the batches"
            )
        return data, validation if validation is None or is_batches(validation) else placed(validation)
    data = placed(data)
    if share is not None:
        data, validation = split_validation(data, share)
    if class_weight is not None and objective.outputs is None:
        data = weigh_classes(data, class_weight)
    if validation is not None and not is_batches(validation):
        validation = placed(validation)
    return data, validation
