"""Low-rank adaptation (Hu et al., 2021, arXiv:2106.09685): ``kernel + (alpha / rank) A B``.

The paper's ``B`` and ``A`` are, in the row-vector form used here, ``lora_b`` and ``lora_a`` transposed.
"""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Axes,
    Layer,
    Params,
    Plan,
    PyTree,
    State,
    check_arrays,
    check_entries,
    check_params,
    fold_name,
    kernel_places,
    lift,
    named_leaves,
    nearest,
    non_negative,
    plan_layer,
    planned,
    positive_int,
    tree_specs,
)
from jaxnn.surgery._paths import get, put

Choice = str | tuple[str, ...] | Callable[[str], bool]


@dataclass(frozen=True, repr=False, kw_only=True)
class AdaptedLayer(Layer):
    """A layer with adapters.

    Attributes:
        merge: ``params -> base``: the parameters of the layer without adapters, with what they add in its
            kernels.
    """

    merge: Callable[[Params], Params]


def lora(model: Any, where: Choice, *, rank: int, alpha: Any = None, param_dtype: Any = None) -> AdaptedLayer:
    """Add low-rank adapters to chosen dense kernels of any model.

    Parameters: ``{"base": ..., "adapters": ...}``. ``base`` is the model's own tree: put trained weights
    there. ``adapters`` has, at the path of each chosen kernel
    ``(in, out)``, ``lora_a`` ``(in, rank)``, normal with variance ``1 / in``, and ``lora_b``
    ``(rank, out)``, zero, so that training starts from the model as it is. What ``repeat`` stacks has
    stacked adapters. State, randomness and output are the model's.

    Train the adapters alone with ``train.partition(params, "adapters.*")``: the base then has no optimizer
    state. Adapters are added to the kernel, not applied to the input, and so work in every composition and
    inside attention; the gradient of the whole kernel is formed on the way, and there is no dropout of the
    adapter's input, as the paper's code has. nnx rewrites the modules instead, layer by layer.

    Args:
        model: layer, however nested.
        where: which kernels: a pattern such as ``"*.attention.query"``, several, or a function of the path.
            Patterns may name the kernel or the layer that holds it.
        rank: rank of what is added.
        alpha: scale times ``rank``; ``rank`` when ``None``, so that the scale is 1.
        param_dtype: dtype of the adapters; the kernel's when ``None``.

    Returns:
        A layer with ``merge``, for serving: ``model.apply(adapted.merge(params), state, x)`` gives the same
        output.

    Raises:
        TypeError, ValueError: a bad argument; when initialised, no kernel is chosen, not even one by each of
            several patterns, or ``rank`` exceeds one of a kernel's sizes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import surgery
        >>> model = nn.repeat(nn.transformer_block(2), 3)
        >>> adapted = surgery.lora(model, ("attention.query", "attention.value"), rank=2)
        >>> params, state = adapted.init(jax.random.key(0), jnp.ones((1, 5, 8)))
        >>> params["adapters"]["attention"]["query"]["lora_a"].shape
        (3, 8, 2)
        >>> y, _ = adapted.apply(params, state, jnp.ones((1, 5, 8)))
        >>> bool(jnp.allclose(y, model.apply(adapted.merge(params), state, jnp.ones((1, 5, 8)))[0]))
        True
    """
    child = lift(model)
    rank = positive_int("lora", "rank", rank)
    alpha = rank if alpha is None else non_negative("lora", "alpha", alpha, positive=True)
    choices = _choices(where)

    def plan(x: PyTree) -> Plan:
        found = plan_layer(child, x)
        specs, _ = tree_specs(found)
        places = _dense(found, specs)
        adapted: dict[str, Any] = {}
        for choice, chosen in choices:
            new = {
                path: spec for path, spec in places.items() if chosen(path) or chosen(path.rpartition(".")[0])
            }
            if not new:
                raise ValueError(
                    f"lora: where={choice!r} chose no dense kernel; {nearest(str(choice), places)}"
                )
            adapted |= new
        for path, spec in adapted.items():
            if rank > min(spec.shape[-2:]):
                raise ValueError(
                    f"lora: rank must be at most the smaller side of the kernel, got rank={rank} for {path} "
                    f"{list(spec.shape[-2:])}"
                )

        def build(key: Any) -> tuple[Params, State]:
            base, state = found.build(fold_name(key, "init", "base"))
            adapters: Params = {}
            for path, spec in adapted.items():
                own = fold_name(key, "init", f"adapters.{path}")
                _insert(adapters, path, _adapter(own, spec, rank, param_dtype))
            return {"base": base, "adapters": adapters}, state

        return Plan(result, x, found.output, build, (("base", found),))

    def merge(params: Params) -> Params:
        check_entries("lora", params, ("base", "adapters"))
        check_arrays("lora", params)
        _check_adapters(params["base"], params["adapters"], choices, rank)
        return _merged(params["base"], params["adapters"], alpha / rank)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        return child.apply(merge(params), state, x, key=key, train=train)

    layer = planned("lora", plan, apply)
    name = child.name if child.is_named else "lora"
    result = AdaptedLayer(name, layer.init, layer.apply, layer.plan, child.is_named, "lora", merge=merge)
    return result


def _choices(where: Choice) -> list[tuple[Any, Callable[[str], bool]]]:
    """Each pattern, or the function, as a function of the path; each must choose something."""
    if callable(where):
        return [(where, where)]
    patterns = (where,) if isinstance(where, str) else tuple(where)
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f"lora: where must be a pattern of paths, several, or a function, got {where!r}")
    return [(pattern, partial(fnmatch.fnmatchcase, pat=pattern)) for pattern in patterns]


def _dense(found: Plan, specs: Any) -> dict[str, Any]:
    """Specs of the kernels ``(in, out)`` by path, leaving out those of convolutions."""
    places = {".".join(path): stacked for path, stacked in kernel_places(found).items()}
    kernels = {path: get(specs, path) for path in places}
    return {path: spec for path, spec in kernels.items() if len(spec.shape) - places[path] == 2}


def _adapter(key: Any, kernel: Any, rank: int, dtype: Any) -> Params:
    *copies, inputs, outputs = kernel.shape
    dtype = kernel.dtype if dtype is None else jnp.dtype(dtype)
    a = jax.random.normal(key, (*copies, inputs, rank), dtype) * jnp.asarray(inputs**-0.5, dtype)
    return {"lora_a": a, "lora_b": jnp.zeros((*copies, rank, outputs), dtype)}


def _check_adapters(
    base: Any, adapters: Any, choices: list[tuple[Any, Callable[[str], bool]]], rank: int
) -> None:
    """Raise unless each adapter fits a kernel, and each choice and each chosen matrix has its adapter."""
    kernels = {path: leaf for path, leaf in named_leaves("lora", base) if path.rpartition(".")[2] == "kernel"}
    found: dict[str, dict[str, Any]] = {}
    for path, leaf in named_leaves("lora", adapters):
        holder, _, name = path.rpartition(".")
        found.setdefault(f"{holder}.kernel" if holder else "kernel", {})[name] = leaf
    remedy = "pass the tree that init returned for this model"
    chosen = {
        path: any(chooses(path) or chooses(path.rpartition(".")[0]) for _, chooses in choices)
        for path in kernels
    }
    # A kernel of more axes may be a convolution's, which has none.
    missing = [path for path in kernels if chosen[path] and kernels[path].ndim == 2 and path not in found]
    unknown = [path for path in found if not chosen.get(path, False)]
    if missing or unknown or not found:
        listed = sorted(path for path in kernels if chosen[path])
        raise ValueError(f"lora: expected adapters for the kernels {listed}, got {sorted(found)}; {remedy}")
    for path, pair in found.items():
        kernel = kernels[path]
        *copies, inputs, outputs = kernel.shape
        shapes: dict[str, Axes] = {"lora_a": (*copies, inputs, rank), "lora_b": (*copies, rank, outputs)}
        check_params("lora", pair, shapes, f"the adapters of {path}")


def _insert(tree: Params, path: str, value: Params) -> None:
    node = tree
    for name in path.split(".")[:-1]:
        node = node.setdefault(name, {})
    node.update(value)


def _merged(base: Any, adapters: Any, scale: Any) -> Any:
    if not isinstance(adapters.get("lora_a", {}), dict):
        return put(base, "kernel", _added(base["kernel"], adapters["lora_a"], adapters["lora_b"], scale))
    return {
        name: _merged(node, adapters[name], scale) if name in adapters else node
        for name, node in base.items()
    }


def _added(kernel: Any, a: Any, b: Any, scale: Any) -> Any:
    update = jnp.asarray(scale, a.dtype) * (a @ b)
    return kernel + update.astype(kernel.dtype)
