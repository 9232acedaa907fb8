"""Proof that weights from PyTorch were carried across right: equal outputs and gradients."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import lift
from jaxnn.interop._agreement import Agreement, agreement, cotangent, tolerance_for
from jaxnn.interop._from_torch import Names, from_torch
from jaxnn.interop._torch_tensors import array_of


def check_torch(
    module: Any,
    model: Any,
    x: Any,
    names: Names | None = None,
    *,
    inputs: Callable[[Any], Any] | None = None,
    outputs: Callable[[Any], Any] | None = None,
    train: bool = False,
    tolerance: float | None = None,
    ignore: tuple[str, ...] = ("*num_batches_tracked",),
) -> Agreement:
    """Assert that a PyTorch module and our model compute the same, with the module's weights in both.

    Compared are the outputs, and the gradients of a random combination of them with respect to the input and
    to every parameter under PyTorch's name, for which ours is differentiated through :func:`from_torch`. The
    module is left as it was. In float64 (``module.double()`` and a float64 ``x``) a mistake has no rounding
    to hide behind.

    Args:
        module: ``torch.nn.Module``.
        model: our layer.
        x: one array, in our layout: images channels last, sequences batch first. Its dtype decides the
            precision.
        names: see :func:`from_torch`.
        inputs: what makes the module's input of a tensor with the values of ``x``, as
            ``lambda x: x.permute(0, 3, 1, 2)``.
        outputs: what makes an array with the shape of our output of what the module returns, as
            ``lambda y: y[0]`` for an LSTM.
        train: whether both run in training; without dropout, whose masks can't be equal.
        tolerance: largest relative error; 1e-5 in float32 and 1e-10 in float64 when ``None``.
        ignore: see :func:`from_torch`.

    Returns:
        The relative error of each array.

    Raises:
        ValueError: one of them exceeds the tolerance; or see :func:`from_torch`.
    """
    x = np.asarray(x)
    whole = outputs or (lambda y: y)
    y, theirs = _torch_gradients(module, x, inputs or (lambda x: x), whole, train)
    weights = dict(module.state_dict())
    learned = dict(module.named_parameters())
    layer = lift(model)
    with jax.enable_x64(x.dtype == np.float64):
        arrays = {name: jnp.asarray(_array(name, value)) for name, value in weights.items()}
        fixed = {name: value for name, value in arrays.items() if name not in learned}

        def run(learned: Any, x: Any) -> Any:
            params, state = from_torch({**fixed, **learned}, layer, x, names, ignore=ignore)
            return layer.apply(params, state, x, train=train)[0]

        def both(learned: Any, x: Any, weight: Any) -> Any:
            if jnp.issubdtype(x.dtype, jnp.floating):
                found, pull = jax.vjp(run, learned, x)
                return found, *pull(weight.astype(found.dtype))
            found, pull = jax.vjp(lambda learned: run(learned, x), learned)
            return found, *pull(weight.astype(found.dtype)), None

        trained = {name: arrays[name] for name in learned}
        ours = jax.jit(both)(trained, jnp.asarray(x), jnp.asarray(cotangent(y.shape)))
    found, gradients, of_input = ours
    pairs = {name: (gradients[name], theirs[name]) for name in learned}
    if of_input is not None:
        pairs["the input"] = (of_input, theirs["the input"])
    return agreement("check_torch", {"output": (found, y)}, pairs, tolerance_for(x.dtype, tolerance))


def _array(name: str, tensor: Any) -> Any:
    return array_of("check_torch", name, tensor)


def _torch_gradients(
    module: Any, x: np.ndarray, inputs: Callable[[Any], Any], outputs: Callable[[Any], Any], train: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """Output and gradients by name; the tensors' own methods do all, so that nothing is imported."""
    before = {name: value.detach().clone() for name, value in module.state_dict().items()}
    was_training, kept = module.training, {name: p.grad for name, p in module.named_parameters()}
    maker = next(iter(module.parameters())).detach()
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    tensor = (
        maker.new_tensor(x.tolist()).requires_grad_() if floating else maker.new_tensor(x.tolist()).long()
    )
    try:
        module.train(train)
        module.zero_grad(set_to_none=True)
        y = outputs(module(inputs(tensor)))
        (y * maker.new_tensor(cotangent(tuple(y.shape)).tolist())).sum().backward()
        gradients = {
            name: np.zeros(tuple(p.shape)) if p.grad is None else np.array(_array(name, p.grad))
            for name, p in module.named_parameters()
        }
        if floating:
            gradients["the input"] = _array("the input", tensor.grad)
        return _array("the output", y), gradients
    finally:
        module.load_state_dict(before)
        module.train(was_training)
        for name, parameter in module.named_parameters():
            parameter.grad = kept[name]
