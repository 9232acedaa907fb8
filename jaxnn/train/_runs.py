"""One epoch as ``fit`` runs it: in pieces between which the host shows progress and hears Ctrl-C."""

import collections
import functools
import math
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn.core import as_array, kept
from jaxnn.train._cause import Suspect
from jaxnn.train._data import placed
from jaxnn.train._epoch import (
    CONSUMED,
    epoch_order,
    examples,
    examples_per_epoch,
    pure_epoch,
    steps_per_epoch,
)
from jaxnn.train._interrupt import Interrupt, InterruptedReadingError
from jaxnn.train._objective import Objective
from jaxnn.train._progress import Progress
from jaxnn.train._state import TrainState
from jaxnn.train._step import Record, computed, empty_record, pure_step, record_spec

_CHUNK_SECONDS = 0.4
_EVALUATED = 1024
_REMEMBERED = 4


class Outcome(NamedTuple):
    """How an epoch ended.

    Attributes:
        train_state: the state after it.
        record: its sums; ``None`` if it was interrupted before its first batch.
        examples: how many were trained.
        stopped: why it ended before its end, or ``None``.
        suspects: where the loss was not finite, the batches that may have made it so.
    """

    train_state: TrainState
    record: Record | None
    examples: int
    stopped: str | None
    suspects: Iterable[Suspect] = ()


Run = Callable[[TrainState, int, Interrupt, Progress], Outcome]


def compiled_epochs(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    data: Any,
    epochs: int,
    batch_size: int,
    ema: float | None,
    shuffle: bool,
    last_batch: str = "keep",
) -> Iterable[Run]:
    """Yield epochs over device-resident arrays, each a few calls of one executable."""
    n = examples("fit", data)
    steps, trained = (count(n, batch_size, last_batch) for count in (steps_per_epoch, examples_per_epoch))
    # A second fit with the same objective and rule, on data of the same shapes, compiles nothing.
    arguments = (optimizer, batch_size, ema, last_batch)
    advance = kept(objective, pure_epoch, *arguments, most=8, donate_argnums=CONSUMED)
    step = pure_step(objective, optimizer, ema)
    pace = _Pace(steps)
    spec: list[Record] = []

    def run(state: TrainState, epoch: int, interrupt: Interrupt, shown: Progress) -> Outcome:
        order = epoch_order(state, n) if shuffle else as_array(np.arange(n, dtype=np.int32))
        if not spec:
            batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch_size, *x.shape[1:]), x.dtype), data)
            spec.append(record_spec(step, state, batch))
        record = empty_record(spec[0])
        start = 0
        while start < steps:
            stop, done_before = min(start + pace.steps, steps), start * batch_size
            began = time.perf_counter()
            state, record = advance(state, data, order, np.int32(start), np.int32(stop), record)
            numbers = computed(record)
            pace.took(stop - start, time.perf_counter() - began)
            start = stop
            done = trained if start == steps else start * batch_size
            if not math.isfinite(numbers["loss"]):
                chosen = np.asarray(order)[done_before : max(done, done_before + 1)]
                reason = _non_finite(numbers["loss"], epoch, start)
                return Outcome(state, record, done, reason, _chosen(data, chosen))
            shown.advance(epoch, start, steps, numbers, pace.rate * batch_size)
            if interrupt.requested and start < steps:
                return Outcome(state, record, done, "interrupted")
        return Outcome(state, record, trained, None)

    return (run for _ in range(epochs))


class _Pace:
    """How many steps fill a piece of time; the first piece, one step, also compiles."""

    def __init__(self, most: int) -> None:
        self.steps = 1
        self.rate = 0.0
        self._most = most
        self._pieces = 0

    def took(self, steps: int, seconds: float) -> None:
        self._pieces += 1
        if self._pieces > 1:
            self.rate = steps / max(seconds, 1e-6)
            ideal = round(self.rate * _CHUNK_SECONDS)
            self.steps = max(1, min(ideal, 8 * self.steps, self._most))


def epochs_of_batches(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    data: Iterable[Any],
    epochs: int,
    ema: float | None,
) -> Iterable[Run]:
    """Yield epochs over an iterable of batches, a call a batch; each shape of batch compiles once."""
    step = pure_step(objective, optimizer, ema)
    # Batches of one run may have many shapes, and none of their programs is let go before its end.
    advance = kept(objective, _step_and_sum, optimizer, ema, most=64, donate_argnums=(0, 2))

    def run(state: TrainState, epoch: int, interrupt: Interrupt, shown: Progress) -> Outcome:
        record, seen, count, stopped = None, 0, 0, None
        began = last = time.perf_counter()
        pending: Record | None = None
        recent: collections.deque[Suspect] = collections.deque(maxlen=_REMEMBERED)
        try:
            for read in interrupt.read(data):
                batch = placed(read)
                record = empty_record(record_spec(step, state, batch)) if record is None else record
                size = jax.tree.leaves(batch)[0].shape[0]
                try:
                    state, record = advance(state, batch, record)
                except ValueError as error:
                    if not count or seen == count * size:
                        raise
                    raise ValueError(_of_another_size(count + 1, size, error)) from error
                seen, count = seen + size, count + 1
                recent.append(Suspect(batch, functools.partial(_example_of_batch, count)))
                now = time.perf_counter()
                if pending is not None:
                    # Those of the batch before: the device has this one to work on while the next is read.
                    numbers, pending, last = computed(pending), None, now
                    if not math.isfinite(numbers["loss"]):
                        break
                    shown.advance(epoch, count, None, numbers, seen / (now - began))
                elif now - last >= _CHUNK_SECONDS or count == 1:
                    pending = jax.tree.map(jnp.copy, record)
        except InterruptedReadingError:
            stopped = "interrupted"
        if record is None:
            if stopped is None:
                raise ValueError("fit: the data held no batches in this epoch; can it be read only once?")
            return Outcome(state, None, 0, stopped)
        loss = computed(record)["loss"]
        if math.isfinite(loss):
            return Outcome(state, record, seen, stopped)
        return Outcome(state, record, seen, _non_finite(loss, epoch, count), recent)

    return (run for _ in range(epochs))


def _step_and_sum(
    objective: Objective, optimizer: optax.GradientTransformation, ema: float | None
) -> Callable[[TrainState, Any, Record], tuple[TrainState, Record]]:
    step = pure_step(objective, optimizer, ema)

    def advance(state: TrainState, batch: Any, record: Record) -> tuple[TrainState, Record]:
        state, new = step(state, batch)
        return state, jax.tree.map(jnp.add, record, new)

    return advance


def _of_another_size(number: int, size: int, error: ValueError) -> str:
    """What a model's refusal of a batch means that is unlike those which it took."""
    held = f"{size} example{'' if size == 1 else 's'}"
    return (
        f"fit: batch {number} holds {held}, unlike those before, and the model does not take it ({error}); "
        "leave it out, or join it with another"
    )


def _non_finite(loss: float, epoch: int, step: int) -> str:
    return f"non-finite loss: {loss} in epoch {epoch} by step {step}"


def _chosen(data: Any, numbers: Any) -> Iterable[Suspect]:
    """The examples of these numbers in batches of a size at which they can be evaluated."""
    for begin in range(0, len(numbers), _EVALUATED):
        part = numbers[begin : begin + _EVALUATED]
        yield Suspect(
            jax.tree.map(lambda leaf, part=part: leaf[part], data),
            lambda i, part=part: f"example {part[i]}",
        )


def _example_of_batch(batch: int, number: int) -> str:
    return f"example {number} of batch {batch}"
