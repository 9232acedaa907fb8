"""Seconds to initialise deep models, traced and compiled: 50 to 200 dense layers, flat and nested."""

import functools
from dataclasses import dataclass
from typing import Any

from benchmarks._row import Contender, Laps, Row


@dataclass(frozen=True)
class Work:
    """Units of every layer."""

    features: int = 8


def _initialise(depth: int, nested: bool, work: Work, laps: Laps) -> None:
    import jax
    import jax.numpy as jnp

    import jaxnn as nn

    x = jax.ShapeDtypeStruct((1, work.features), jnp.float32)
    while True:
        model = nn.chain(nn.dense(work.features))
        if nested:
            for _ in range(depth - 1):
                model = nn.chain(nn.dense(work.features), model)
        else:
            model = nn.chain(*(nn.dense(work.features) for _ in range(depth)))
        params, _ = jax.jit(functools.partial(_init, model, x))(jax.random.key(0))
        laps(float(jax.tree.leaves(params)[0].sum()))


def _init(model: Any, x: Any, key: Any) -> Any:
    return model.init(key, x)


def _linen(depth: int, work: Work, laps: Laps) -> None:
    import jax
    import jax.numpy as jnp
    from flax import linen as nn

    x = jnp.zeros((1, work.features))
    while True:
        model = nn.Sequential([nn.Dense(work.features) for _ in range(depth)])
        params = jax.jit(functools.partial(_linen_init, model, x))(jax.random.key(0))
        laps(float(jax.tree.leaves(params)[0].sum()))


def _linen_init(model: Any, x: Any, key: Any) -> Any:
    return model.init(key, x)


def _contender(name: str, drive: Any, *packages: str) -> Contender:
    return Contender(name, drive, packages)


_DEPTHS = (50, 100, 200)

ROW = Row(
    title="Trace, compile and run `init` of deep models",
    unit="s",
    sizes={"full": Work(), "tiny": Work(features=2)},
    contenders=(
        *(
            _contender(f"jaxnn, {n} in a row", functools.partial(_initialise, n, False), "jaxnn")
            for n in _DEPTHS
        ),
        *(
            _contender(f"jaxnn, {n} nested", functools.partial(_initialise, n, True), "jaxnn")
            for n in _DEPTHS
        ),
        *(_contender(f"Flax linen, {n} in a row", functools.partial(_linen, n), "flax") for n in _DEPTHS),
    ),
    note="Every lap makes a new model, so nothing is reused between laps.",
)
