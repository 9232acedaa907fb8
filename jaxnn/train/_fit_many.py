"""Many trainings in one call: seeds and hyper-parameters by ``vmap``."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import describe, printable


@dataclass(frozen=True)
class Many:
    """What ``fit_many`` returns.

    Attributes:
        results: what ``train`` returns, each leaf with leading axes ``[seeds]``, or ``[settings, seeds]``
            where there are hyper-parameters with a leading axis.
        hyper: the hyper-parameters as given.
        settings: number of hyper-parameter settings, ``None`` where there is one without a leading axis.
        seeds: number of keys.
    """

    results: Any
    hyper: Any
    settings: int | None
    seeds: int

    def select(self, seed: int, setting: int | None = None) -> Any:
        """Return the result of one training, without the leading axes.

        Raises:
            IndexError: there is no such seed or setting.
            ValueError: a setting is asked for where there are none, or none where there are several.
        """
        if (setting is None) != (self.settings is None):
            has = "no settings" if self.settings is None else f"{self.settings} settings"
            raise ValueError(f"Many.select: there are {has} here, got setting={setting}")
        asked = {"seed": (seed, self.seeds), "setting": (setting or 0, self.settings or 1)}
        for name, (index, size) in asked.items():
            if not -size <= index < size:
                raise IndexError(f"Many.select: {name} must be below {size}, got {index}")
        index = (seed,) if setting is None else (setting, seed)
        return jax.tree.map(lambda leaf: leaf[index], self.results)

    def mean(self) -> Any:
        """Return the means over seeds of every leaf, as NumPy float64; ``None`` in place of keys."""
        return self._over_seeds(lambda leaf: leaf.mean(self._axis))

    def std(self) -> Any:
        """Return the sample standard deviations over seeds; ``nan`` for a single seed, ``None`` for keys."""
        return self._over_seeds(
            lambda leaf: leaf.std(self._axis, ddof=1) if self.seeds > 1 else leaf.mean(self._axis) * math.nan
        )

    def table(self, **columns: Callable[[Any], Any]) -> str:
        """Return a Markdown table: a line for each setting, mean and standard deviation of each column.

        Args:
            columns: by heading, a function from ``results`` to an array with its leading axes and no other;
                without any, every leaf of ``results`` that is such an array is a column.

        Raises:
            ValueError: a column is no array with just the leading axes.
        """
        lead = (self.seeds,) if self.settings is None else (self.settings, self.seeds)
        if columns:
            found = {name: np.asarray(column(self.results)) for name, column in columns.items()}
            for name, values in found.items():
                if values.shape != lead:
                    raise ValueError(
                        f"Many.table: column {name} must have shape {list(lead)}, one for each training, "
                        f"got {list(values.shape)}; reduce the other axes"
                    )
        else:
            leaves = jax.tree_util.tree_leaves_with_path(self.results)
            found = {
                jax.tree_util.keystr(path, simple=True, separator=".") or "result": np.asarray(leaf)
                for path, leaf in leaves
                if jnp.shape(leaf) == lead and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            }
        settings = [] if self.settings is None else jax.tree_util.tree_leaves_with_path(self.hyper)
        varied = [
            (jax.tree_util.keystr(path, simple=True, separator=".") or "hyper", leaf)
            for path, leaf in settings
            if jnp.ndim(leaf) == 1 and not jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)
        ]
        if self.settings is not None and not varied:
            varied = [("setting", np.arange(self.settings))]
        head = [name for name, _ in varied] + ["seeds"] + [f"{name} (mean ± std)" for name in found]
        lines = [" | ".join(head), " | ".join("---" for _ in head)]
        for row in range(self.settings or 1):
            cells = [f"{float(leaf[row]):.6g}" for _, leaf in varied] + [str(self.seeds)]
            for values in found.values():
                values = (values if self.settings is None else values[row]).astype(np.float64)
                spread = f" ± {values.std(ddof=1):.2g}" if self.seeds > 1 else ""
                cells.append(f"{values.mean():.6g}{spread}")
            lines.append(" | ".join(cells))
        return printable("\n".join(f"| {line} |" for line in lines))

    @property
    def _axis(self) -> int:
        return 0 if self.settings is None else 1

    def _over_seeds(self, reduce: Callable[[np.ndarray], np.ndarray]) -> Any:
        def one(leaf: Any) -> Any:
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return None
            wide = np.complex128 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else np.float64
            return reduce(np.asarray(leaf).astype(wide))

        return jax.tree.map(one, self.results)


def fit_many(train: Callable[[Any, Any], Any], keys: jax.Array, hyper: Any = None) -> Many:
    """Run ``train(key, hyper)`` for every key and every hyper-parameter setting, in one compiled call.

    Every lane is its single run, since a training is a pure function of its key and hyper-parameters. The two
    are compiled apart and so round apart: they agree to some units of the last place, not in every bit, and
    training enlarges that as it enlarges any perturbation. A parameter whose gradient is 0 but for rounding,
    such as a bias right before a batch norm, goes its own way under rules that divide by the gradient's size.
    Flax, Equinox and Keras leave the vectorisation of their loops to the user, and their trainers cannot be
    vectorised at all. On a CPU it pays for small models, where a step is mostly overhead; on an accelerator
    it fills the device. Each call traces ``train`` anew, so that it sees what ``train`` reads from outside.

    Args:
        train: a pure function ``(key, hyper) -> pytree of arrays`` that can be traced: built with
            ``make_epoch`` or ``make_step`` under ``lax.scan`` or ``lax.fori_loop``, not with ``fit``, whose
            loop runs in Python. Usually ``make_train(config)``.
        keys: typed keys ``[seeds]``, as ``jax.random.split`` returns them; or one key.
        hyper: any pytree. Leaves with a first axis hold one value for each setting, and all such leaves have
            the same number of them; scalars are shared; ``None`` where ``train`` needs none. All pairs of
            setting and key are trained.

    Returns:
        ``Many`` with ``results``, ``mean()``, ``std()``, ``table()`` and ``select(seed, setting)``.

    Raises:
        TypeError: ``keys`` are not typed keys, or ``train`` is not a function.
        ValueError: leaves of ``hyper`` have first axes of unequal sizes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxnn import train
        >>> def descend(key, rate):
        ...     start = jax.random.normal(key)
        ...     return {"x": jax.lax.fori_loop(0, 50, lambda _, x: x - rate * 2 * x, start)}
        >>> many = train.fit_many(descend, jax.random.split(jax.random.key(0), 3), jnp.array([0.1, 0.4]))
        >>> many.results["x"].shape
        (2, 3)
        >>> bool(abs(many.mean()["x"]).max() < 1e-3)
        True
    """
    if not callable(train):
        raise TypeError(f"fit_many: train must be a function (key, hyper) -> results, got {describe(train)}")
    if not (isinstance(keys, jax.Array) and jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)):
        raise TypeError(
            f"fit_many: keys must be typed keys, got {describe(keys)}; "
            "use jax.random.split(jax.random.key(0), n)"
        )
    if isinstance(hyper, list) and hyper and all(isinstance(one, int | float) for one in hyper):
        raise TypeError(
            f"fit_many: hyper={hyper} is a list, a tree of numbers that all trainings would share; "
            "use jnp.array(hyper) for a value for each setting"
        )
    keys = keys.reshape(-1)
    leaves = jax.tree_util.tree_leaves_with_path(hyper)
    sizes = {jax.tree_util.keystr(path): jnp.shape(leaf)[0] for path, leaf in leaves if jnp.ndim(leaf)}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{path or 'hyper'}: {size}" for path, size in sizes.items())
        raise ValueError(
            f"fit_many: all leaves of hyper with a first axis must have one size, a value for each setting, "
            f"got {listed}"
        )
    if not keys.size or 0 in sizes.values():
        raise ValueError(
            f"fit_many: expected at least one key and one setting, got {keys.size} keys and hyper-parameters "
            f"with first axes {sorted(set(sizes.values()))}"
        )
    many = jax.vmap(train, in_axes=(0, None))
    if sizes:
        axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, hyper)
        many = jax.vmap(many, in_axes=(None, axes))
    results = jax.jit(many)(keys, hyper)
    return Many(results, hyper, next(iter(sizes.values()), None), keys.shape[0])
