"""The transformer's block: attention and a perceptron, each added to its input.

Pre-norm ``x + f(norm(x))`` (Xiong et al., 2020, arXiv:2002.04745), or post-norm ``norm(x + f(x))`` (Vaswani
et al., 2017, arXiv:1706.03762).
"""

from collections.abc import Callable
from typing import Any

from jaxnn.compose._chain import chain
from jaxnn.compose._model import model
from jaxnn.core import (
    Layer,
    Masked,
    Params,
    Plan,
    PyTree,
    State,
    check_floating,
    check_min_rank,
    common_dtype,
    describe,
    filled,
    lift,
    non_negative,
    plan_layer,
    planned,
    probability,
)
from jaxnn.layers import attention, dense, dropout, layer_norm
from jaxnn.ops import gelu


def transformer_block(
    num_heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    *,
    cross: bool = False,
    mlp_ratio: float = 4.0,
    activation: Any = gelu,
    dropout_rate: Any = 0.0,
    pre_norm: bool = True,
    norm: Callable[[], Any] = layer_norm,
    head_dim: int | None = None,
    mask: Callable[[Any, Any], Any] | None = None,
    rotary: bool = False,
    use_bias: bool = True,
    formulation: str | None = None,
) -> Layer:
    """Self attention, attention to a memory if ``cross``, and a perceptron: ``[..., time, features]`` stays.

    What goes in comes out, so that blocks follow each other and ``nn.repeat(nn.transformer_block(8), 12)``
    compiles one body: ``x`` gives ``y``, ``(x, memory)`` gives ``(y, memory)``, ``(x, memory, mask)`` gives
    ``(y, memory, mask)``. The mask says which positions of the memory (without ``cross``, of ``x``, with
    ``None`` for the memory) each position of ``x`` may see, as in ``nn.attention``. ``x`` and ``memory`` may
    be ``Masked``. Put ``nn.layer_norm()`` after the last pre-norm block.

    Children: ``attention_norm``, ``attention``, with ``cross`` ``cross_norm``, ``cross_attention``, then
    ``mlp_norm`` and ``mlp`` (``dense_0``, the activation, ``dense_1``).

    Args:
        num_heads: see ``nn.attention``.
        kv_heads: see ``nn.attention``.
        causal: whether self attention sees earlier positions only, as in a decoder.
        cross: whether the block also attends to a memory.
        mlp_ratio: hidden units of the perceptron over ``features``.
        activation: between its layers; ``ops.gelu`` is safe in float16.
        dropout_rate: probability that an entry of a sublayer's output is *dropped* in training.
        pre_norm: whether norms stand before the sublayers or after the sums.
        norm: makes a norm, as ``nn.rms_norm``.
        head_dim: see ``nn.attention``.
        mask: see ``nn.attention``; for self attention.
        rotary: see ``nn.attention``; for self attention.
        use_bias: whether attention and perceptron have biases.
        formulation: see ``jaxnn.ops.attention``.

    Raises:
        TypeError, ValueError: a bad argument; at use, a memory is missing or not expected, or an input does
            not fit.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> decoder = nn.repeat(nn.remat(nn.transformer_block(2, causal=True, cross=True)), 3)
        >>> x, memory = jnp.ones((1, 5, 8)), jnp.ones((1, 7, 8))
        >>> params, state = decoder.init(jax.random.key(0), (x, memory))
        >>> (y, _), _ = decoder.apply(params, state, (x, memory))
        >>> y.shape, params["cross_attention"]["query"]["kernel"].shape
        ((1, 5, 8), (3, 8, 8))
    """
    non_negative("transformer_block", "mlp_ratio", mlp_ratio, positive=True)
    rate = probability("transformer_block", "dropout_rate", dropout_rate)
    options = {"head_dim": head_dim, "use_bias": use_bias, "formulation": formulation}
    children = {"attention": attention(num_heads, kv_heads, causal, mask=mask, rotary=rotary, **options)}
    if cross:
        children["cross_attention"] = attention(num_heads, kv_heads, **options)
    parts = ("attention", "cross", "mlp") if cross else ("attention", "mlp")
    children |= {f"{part}_norm": lift(norm()) for part in parts}
    if not (isinstance(rate, int | float) and rate == 0):
        children |= {f"{part}_dropout": dropout(rate) for part in parts}
    names = {"attention": "attention", "cross": "cross_attention", "mlp": "mlp"}

    def inner(x: PyTree) -> Layer:
        features = _features(x, cross)
        hidden = max(1, round(mlp_ratio * features))
        mlp = chain(dense(hidden, use_bias=use_bias), activation, dense(features, use_bias=use_bias))
        return model(**children, mlp=mlp)(block)

    def block(m: Any, x: PyTree) -> PyTree:
        parts_in = x if isinstance(x, tuple) else (x,)
        # Whatever stands in the padding must reach no gradient.
        h, mask = (
            (filled(parts_in[0]), parts_in[0].mask)
            if isinstance(parts_in[0], Masked)
            else (parts_in[0], None)
        )
        memory, pairs = (*parts_in[1:], None, None)[:2]

        def sublayer(part: str, h: Any, given: Callable[[Any], Any]) -> Any:
            normalise, layer = getattr(m, f"{part}_norm"), getattr(m, names[part])
            y = layer(given(normalise(h) if pre_norm else h))
            y = y.value if isinstance(y, Masked) else y
            y = getattr(m, f"{part}_dropout")(y) if f"{part}_dropout" in children else y
            dtype = common_dtype(h.dtype, y.dtype)
            total = h.astype(dtype) + y.astype(dtype)
            return total if pre_norm else normalise(total)

        def itself(h: Any) -> Any:
            h = h if mask is None else Masked(h, mask)
            return h if cross or pairs is None else (h, None, pairs)

        h = sublayer("attention", h, itself)
        if cross:
            h = sublayer("cross", h, lambda h: (h, memory) if pairs is None else (h, memory, pairs))
        h = sublayer("mlp", h, lambda h: h)
        y = h if mask is None else Masked(h, mask)
        return (y, *parts_in[1:]) if isinstance(x, tuple) else y

    def plan(x: PyTree) -> Plan:
        return plan_layer(inner(x), x)._replace(layer=result)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        return inner(x).apply(params, state, x, key=key, train=train)

    result = planned("transformer_block", plan, apply)
    return result


def _features(x: PyTree, cross: bool) -> int:
    parts: list[Any] = list(x) if isinstance(x, tuple) else [x]
    if cross and (len(parts) < 2 or parts[1] is None):
        raise ValueError(
            f"transformer_block: cross=True expects (x, memory), got {describe(x)}; pass what the encoder "
            "returned"
        )
    if not 1 <= len(parts) <= 3 or (not cross and len(parts) > 1 and parts[1] is not None):
        expected = "(x, memory) or (x, memory, mask)" if cross else "x or (x, None, mask)"
        raise ValueError(
            f"transformer_block: expected {expected} with cross={cross}, got {describe(x)}; cross=True "
            "attends to a memory"
        )
    value = parts[0].value if isinstance(parts[0], Masked) else parts[0]
    check_floating("transformer_block", value)
    check_min_rank("transformer_block", value, 2, "[..., time, features]")
    return value.shape[-1]
