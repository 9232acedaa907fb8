"""Every update rule of ``jaxnn.optim`` by name, as a function of its rate."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import optax

from jaxnn import optim


def _rule(name: str) -> Callable[[Any], optax.GradientTransformation]:
    if name == "rprop":
        # Its classic form steps by the sign alone, on full batches; torch's is the same with safe defaults.
        return lambda rate: optim.rprop(rate, form="torch")
    return getattr(optim, name)


def _is_rule(name: str) -> bool:
    """Whether it takes a rate; the rest wrap another rule."""
    return next(iter(signature(getattr(optim, name)).parameters)) == "learning_rate"


RULES = {name: _rule(name) for name in sorted(optim.__all__) if _is_rule(name)}
