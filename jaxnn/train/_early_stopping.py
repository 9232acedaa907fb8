"""Early stopping as a pure policy ``(state, record) -> state``."""

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxnn.core import describe, non_negative, one_of, positive_int

_RISING = frozenset(("accuracy", "acc", "auc", "auroc", "precision", "recall", "fone"))
_FALLING = frozenset(("loss", "losses", "error", "errors", "perplexity"))
# What may stand behind such a word and leave it what it is.
_BEHIND = ("macro", "micro", "weighted", "binary", "mean", "score", "rate", "top", "at", "k", "roc")
_QUALIFYING = frozenset((*_BEHIND, "train", "val", "validation", "test", "ema"))
# What turns the meaning of a name.
_OPPOSITES = (
    "minus",
    "neg",
    "negative",
    "negated",
    "non",
    "not",
    "no",
    "un",
    "anti",
    "inverse",
    "complement",
)
_CHANGES = ("drop", "decrease", "decline", "lost", "gap", "difference", "diff", "delta", "distance", "regret")
_SPREADS = ("std", "stddev", "deviation", "dev", "var", "variance", "spread", "range", "uncertainty")
_TURNING = frozenset((*_OPPOSITES, *_CHANGES, *_SPREADS))


class StopState(NamedTuple):
    """What early stopping remembers.

    Attributes:
        best: best value so far.
        best_epoch: its epoch, 0 before the first.
        waited: epochs since then.
        stop: whether to stop.
    """

    best: float
    best_epoch: int = 0
    waited: int = 0
    stop: bool = False


class Policy(NamedTuple):
    """A pure stopping rule: a first state and an update by each epoch's record."""

    init: StopState
    update: Callable[[StopState, Mapping[str, Any]], StopState]


def early_stopping(
    monitor: str = "val_loss", *, patience: int = 5, min_delta: float = 0.0, mode: str = "auto"
) -> Policy:
    """Stop when a number has not improved for ``patience`` epochs; ``fit`` then gives the best weights.

    Prechelt (1998), "Early stopping - but when?". A non-finite value is no improvement.

    Args:
        monitor: name in the epoch's record.
        patience: epochs without improvement that are borne.
        min_delta: change that counts as improvement.
        mode: ``"min"``, ``"max"``, or ``"auto"``, which goes by whole words: the maximum of an ``accuracy``,
            ``precision``, ``recall``, ``f1`` or ``auc``, the minimum of a ``loss``, ``error`` or
            ``perplexity``. A name without such a word, with both kinds, or with another word behind it
            (``accuracy_gap``) must come with a mode.

    Raises:
        TypeError, ValueError: a bad argument; at use, ``monitor`` is not in the record, or is an array.

    Example:
        >>> policy = early_stopping(patience=1)
        >>> state = policy.init
        >>> for epoch, loss in enumerate([3.0, 2.0, 2.5], 1):
        ...     state = policy.update(state, {"epoch": epoch, "val_loss": loss})
        >>> state
        StopState(best=2.0, best_epoch=2, waited=1, stop=True)
    """
    patience = positive_int("early_stopping", "patience", patience)
    non_negative("early_stopping", "min_delta", min_delta)
    one_of("early_stopping", "mode", mode, ("auto", "min", "max"))
    if not isinstance(monitor, str):
        raise TypeError(f"early_stopping: monitor must be a name in the record, got {describe(monitor)}")
    rises = mode == "max" or (mode == "auto" and _rises(monitor))
    update = functools.partial(_updated, monitor, patience, min_delta, rises)
    return Policy(StopState(-math.inf if rises else math.inf), update)


# A function of the module, so that a policy can be pickled.
def _updated(
    monitor: str, patience: int, min_delta: float, rises: bool, state: StopState, record: Mapping[str, Any]
) -> StopState:
    if monitor not in record:
        raise ValueError(
            f"early_stopping: {monitor!r} is not recorded, only {', '.join(map(repr, record))}; "
            "pass validation data to fit, or monitor one of these"
        )
    if np.ndim(record[monitor]):
        raise ValueError(
            f"early_stopping: {monitor!r} is an array, {describe(record[monitor])}, not one number; "
            "monitor a metric that computes to a number, such as metrics.f1 with its average"
        )
    value = float(record[monitor])
    gain = value - state.best if rises else state.best - value
    if math.isfinite(value) and (state.best_epoch == 0 or gain > min_delta):
        return StopState(value, int(record["epoch"]))
    waited = state.waited + 1
    return state._replace(waited=waited, stop=waited >= patience)


def _rises(monitor: str) -> bool:
    """Whether what is measured should rise, by whole words: an acceleration is no accuracy."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", re.sub(r"[fF]1(?![0-9])", "_fone_", monitor))
    words = [word.lower() for word in words]
    told = [word for word in words if word in _RISING | _FALLING]
    behind = words[words.index(told[-1]) + 1 :] if told else words
    kinds = {word in _RISING for word in told}
    subtracted = re.search(r"^\s*-|(^|[_\s])1(\.0*)?\s*-|\s-\s", monitor)
    if subtracted or len(kinds) != 1 or set(behind) - _QUALIFYING or set(words) & _TURNING:
        raise ValueError(
            f"early_stopping: mode='auto' can't tell whether {monitor!r} should fall or rise; "
            "pass mode='min' or mode='max'"
        )
    return kinds.pop()
