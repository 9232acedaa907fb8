"""Other gradient checkers on the same functions, each called as its documentation calls it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from benchmarks.mutants import Mutant
from jaxnn.core import Layer
from jaxnn.testing._linear import has_custom_vjp

PEERS = ("check_grads", "chex", "torch gradcheck")
NOT_APPLICABLE = "n/a"


def differentiable(mutant: Mutant, broken: bool) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
    """The subject as a function of floating arrays, or ``None`` where there is none (optimizers)."""
    if mutant.kind == "optimizer":
        return None
    subject = mutant.make(broken)
    rng = np.random.default_rng(0)
    arrays = tuple(
        rng.standard_normal(a.shape).astype(np.float32) if isinstance(a, jax.ShapeDtypeStruct) else a
        for a in mutant.arguments
    )
    if mutant.kind == "function":
        return subject, arrays
    if mutant.kind == "loss":
        rest = (*arrays[1:], *((mutant.options["mask"],) if "mask" in mutant.options else ()))
        return lambda outputs: subject(outputs, *rest), arrays[:1]
    layer: Layer = subject
    x = arrays[0]
    params, state = layer.init(jax.random.key(0), x)
    train = "mean over keys" in mutant.killer or "key" in mutant.killer

    def apply(params: Any, x: Any) -> Any:
        y, _ = layer.apply(params, state, x, key=jax.random.key(1) if train else None, train=train)
        return [leaf for leaf in jax.tree.leaves(y) if jnp.issubdtype(leaf.dtype, jnp.floating)]

    return (apply, (params, x)) if params else (lambda x: apply({}, x), (x,))


def _modes(function: Any, arguments: Any) -> tuple[str, ...]:
    """Reverse mode alone where a ``custom_vjp`` refuses forward mode, as a user would choose."""
    custom = has_custom_vjp(jax.make_jaxpr(function)(*arguments).jaxpr)
    return ("rev",) if custom else ("fwd", "rev")


def _check_grads(function: Any, arguments: Any) -> None:
    check_grads(function, arguments, order=1, modes=_modes(function, arguments))


def _chex(function: Any, arguments: Any) -> None:
    """Its tolerance is ``0.01 * f_args[0].size``, which a dict does not have: it is given leaves."""
    import chex

    leaves, structure = jax.tree.flatten(arguments)
    modes = _modes(function, arguments)

    def flat(*values: Any) -> Any:
        return function(*structure.unflatten(values))

    chex.assert_numerical_grads(flat, leaves, order=1, modes=modes)


def _torch(function: Any, arguments: Any) -> None:
    """torch's checker drives the JAX function in float64 through an ``autograd.Function``."""
    import torch

    leaves, structure = jax.tree.flatten(arguments)

    def flat(*values: Any) -> list[Any]:
        return jax.tree.leaves(function(*structure.unflatten(values)))

    # Run as it is, since some bugs show only then; but a scan is compiled anew at every eager call.
    many = sum(np.size(leaf) for leaf in leaves) > 200
    value_and_pull = jax.jit(lambda *values: jax.vjp(flat, *values)) if many else partial(jax.vjp, flat)

    class Bridge(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            with jax.enable_x64(True):
                values = [jnp.asarray(t.detach().numpy()) for t in tensors]
                outputs, ctx.pull = value_and_pull(*values)
                return tuple(torch.from_numpy(np.array(y)) for y in outputs)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            with jax.enable_x64(True):
                found = ctx.pull([jnp.asarray(c.numpy()) for c in cotangents])
                return tuple(torch.from_numpy(np.array(g)) for g in found)

    tensors = [torch.tensor(np.asarray(leaf, np.float64), requires_grad=True) for leaf in leaves]
    torch.autograd.gradcheck(Bridge.apply, tensors)


_CALLS: dict[str, Callable[[Any, Any], None]] = {
    "check_grads": _check_grads,
    "chex": _chex,
    "torch gradcheck": _torch,
}


def outcome(peer: str, mutant: Mutant) -> str:
    """``"killed"``, ``"missed"``, ``"n/a"``; ``"false alarm"`` or ``"cannot run"`` on the original."""
    results = []
    for broken in (False, True):
        try:
            found = differentiable(mutant, broken)
        except Exception:  # a mutant that cannot even be called needs no gradient checker
            return NOT_APPLICABLE
        if found is None:
            return NOT_APPLICABLE
        function, arguments = found
        if peer == "torch gradcheck" and sum(np.size(leaf) for leaf in jax.tree.leaves(arguments)) > 1000:
            # A full Jacobian by differences takes one pair of calls an entry; its users shrink the input.
            arguments = jax.tree.map(lambda leaf: leaf[:256], arguments)
        try:
            _CALLS[peer](function, arguments)
            results.append("passes")
        except (AssertionError, RuntimeError):  # torch's GradcheckError is a RuntimeError
            results.append("refuses")
        except Exception:  # the checker, or the subject, gives up in its own way
            results.append("raises")
    original, broken_one = results
    if original != "passes":
        return "false alarm" if original == "refuses" else "cannot run"
    return "missed" if broken_one == "passes" else "killed"
