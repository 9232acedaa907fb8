"""Seconds to import each library in a fresh process, after its files are in the system's cache."""

import functools
import importlib

from benchmarks._row import Contender, Laps, Row


def _import(module: str, work: None, laps: Laps) -> None:
    importlib.import_module(module)
    while True:
        laps(0.0)


def _contender(name: str, module: str, package: str, **environment: str) -> Contender:
    return Contender(name, functools.partial(_import, module), (package,), environment)


ROW = Row(
    title="Import in a fresh process, the start of Python included",
    unit="s",
    sizes={"full": None, "tiny": None},
    contenders=(
        _contender("jaxnn", "jaxnn", "jaxnn"),
        _contender("jax.numpy", "jax.numpy", "jax"),
        _contender("Flax linen", "flax.linen", "flax"),
        _contender("Flax nnx", "flax.nnx", "flax"),
        _contender("Equinox", "equinox", "equinox"),
        _contender("Haiku", "haiku", "dm-haiku"),
        _contender("Keras on JAX", "keras", "keras", KERAS_BACKEND="jax"),
        _contender("PyTorch", "torch", "torch"),
    ),
    laps="process",
    note="`import jax.numpy` is what jaxnn stands on: the difference to it is jaxnn's own.",
)
