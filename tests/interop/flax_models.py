"""Models of linen and nnx, each beside the model of ours that equals it and the maps between their names."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jaxnn as nn


class Case(NamedTuple):
    """What makes a module of linen and of nnx (with carries of that dtype), our model, how names map."""

    linen: Callable[[Any], Any]
    nnx: Callable[[nnx.Rngs, Any], nnx.Module]
    model: Callable[[], Any]
    shape: tuple[int, ...]
    linen_names: dict[str, str]
    nnx_names: dict[str, str]
    trains: tuple[bool, ...] = (False,)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng([5, *shape]).normal(size=shape)


def filled(tree: Any, dtype: Any) -> Any:
    """The same structure with drawn numbers, positive where the name says variance; NumPy's, to compile nothing."""

    def one(path: Any, leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key(0)
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.zeros(leaf.shape, leaf.dtype)
        value = (draw(*leaf.shape, len(str(path)))[..., 0] * 0.5).astype(dtype)
        return np.abs(value) + dtype(0.5) if "var" in str(path) else value

    return jax.tree_util.tree_map_with_path(one, tree)


class LinenLeNet(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.avg_pool(jnp.tanh(linen.Conv(3, (3, 3))(x)), (2, 2), (2, 2))
        x = linen.max_pool(linen.relu(linen.Conv(4, (3, 3), padding="VALID")(x)), (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        x = jnp.tanh(linen.Dense(5)(x))
        return linen.Dense(3)(x)


class NnxLeNet(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 3, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(3, 4, (3, 3), padding="VALID", rngs=rngs)
        self.head = nnx.Sequential(nnx.Linear(24, 5, rngs=rngs), jnp.tanh, nnx.Linear(5, 3, rngs=rngs))

    def __call__(self, x):
        x = nnx.avg_pool(jnp.tanh(self.conv1(x)), (2, 2), (2, 2))
        x = nnx.max_pool(nnx.relu(self.conv2(x)), (2, 2), (2, 2))
        return self.head(x.reshape(x.shape[0], -1))


def lenet():
    return nn.chain(
        *(nn.conv(3, (3, 3), padding="SAME"), jnp.tanh, nn.avg_pool((2, 2))),
        *(nn.conv(4, (3, 3)), jax.nn.relu, nn.max_pool((2, 2))),
        *(nn.flatten(), nn.dense(5), jnp.tanh, nn.dense(3)),
    )


class LinenBlock(linen.Module):
    features: int
    stride: int

    @linen.compact
    def __call__(self, x, train):
        def conv(size, stride):
            return linen.Conv(self.features, (size, size), stride, use_bias=False)

        def norm(x):
            return linen.BatchNorm(use_running_average=not train)(x)

        y = linen.relu(norm(conv(3, self.stride)(x)))
        y = norm(conv(3, 1)(y))
        return linen.relu(y + (norm(conv(1, self.stride)(x)) if self.stride > 1 else x))


class LinenResNet(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool):
        x = linen.Conv(3, (3, 3), use_bias=False)(x)
        x = linen.relu(linen.BatchNorm(use_running_average=not train)(x))
        x = LinenBlock(3, 1)(x, train)
        x = LinenBlock(4, 2)(x, train)
        return linen.Dense(3)(x.mean((1, 2)))


class NnxBlock(nnx.Module):
    def __init__(self, width, features, stride, rngs):
        def conv(width, size, stride):
            return nnx.Conv(width, features, (size, size), stride, use_bias=False, rngs=rngs)

        self.conv1, self.bn1 = conv(width, 3, stride), nnx.BatchNorm(features, rngs=rngs)
        self.conv2, self.bn2 = conv(features, 3, 1), nnx.BatchNorm(features, rngs=rngs)
        self.down = nnx.List(
            [conv(width, 1, stride), nnx.BatchNorm(features, rngs=rngs)] if stride > 1 else []
        )

    def __call__(self, x):
        y = self.bn2(self.conv2(nnx.relu(self.bn1(self.conv1(x)))))
        for layer in self.down:
            x = layer(x)
        return nnx.relu(y + x)


class NnxResNet(nnx.Module):
    def __init__(self, rngs):
        self.stem = nnx.Conv(2, 3, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.block0, self.block1 = NnxBlock(3, 3, 1, rngs), NnxBlock(3, 4, 2, rngs)
        self.fc = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        x = self.block1(self.block0(nnx.relu(self.norm(self.stem(x)))))
        return self.fc(x.mean((1, 2)))


def resnet():
    def conv(features, size, stride=1):
        return nn.conv(features, (size, size), stride, "SAME", use_bias=False)

    def block(features, stride):
        body = nn.chain(
            conv(features, 3, stride), nn.batch_norm(), jax.nn.relu, conv(features, 3), nn.batch_norm()
        )
        return nn.residual(body, nn.chain(conv(features, 1, stride), nn.batch_norm()) if stride > 1 else None)

    return nn.chain(
        *(conv(3, 3), nn.batch_norm(), jax.nn.relu),
        *(block(3, 1), jax.nn.relu, block(4, 2), jax.nn.relu),
        *(nn.global_avg_pool(), nn.dense(3)),
    )


class LinenBidirectional(linen.Module):
    dtype: Any

    @linen.compact
    def __call__(self, x):
        for _ in range(2):
            cells = (cell(4, param_dtype=self.dtype) for cell in (linen.LSTMCell, linen.OptimizedLSTMCell))
            x = linen.Bidirectional(*map(linen.RNN, cells))(x)
        return x


class NnxBidirectional(nnx.Module):
    def __init__(self, rngs, dtype):
        def layer(inputs):
            kinds = (nnx.LSTMCell, nnx.OptimizedLSTMCell)
            sides = (nnx.RNN(kind(inputs, 4, param_dtype=dtype, rngs=rngs)) for kind in kinds)
            return nnx.Bidirectional(*sides, rngs=rngs)

        self.layers = nnx.List([layer(3), layer(8)])

    def __call__(self, x):
        return self.layers[1](self.layers[0](x))


class LinenOriginalCell(linen.GRUCell):
    """The form of Cho et al. (2014), which Flax does not have: the reset gate acts before the product."""

    @linen.compact
    def __call__(self, carry, inputs):
        def gate(name, h):
            i, u = (
                linen.Dense(self.features, name=f"i{name}"),
                linen.Dense(self.features, False, name=f"h{name}"),
            )
            return i(inputs) + u(h)

        r, z = linen.sigmoid(gate("r", carry)), linen.sigmoid(gate("z", carry))
        h = (1 - z) * jnp.tanh(gate("n", r * carry)) + z * carry
        return h, h


class NnxOriginalCell(nnx.GRUCell):
    def __call__(self, carry, inputs):
        x, (ur, uz, un) = self.dense_i(inputs), jnp.split(self.dense_h.kernel[...], 3, -1)
        xr, xz, xn = jnp.split(x, 3, -1)
        r, z = nnx.sigmoid(xr + carry @ ur), nnx.sigmoid(xz + carry @ uz)
        h = (1 - z) * jnp.tanh(xn + (r * carry) @ un) + z * carry
        return h, h


BLOCKS = 1


class LinenEncoder(linen.Module):
    @linen.compact
    def __call__(self, x):
        for _ in range(BLOCKS):
            x = linen.LayerNorm(1e-5)(x + linen.MultiHeadDotProductAttention(2)(x))
            h = linen.gelu(linen.Dense(16)(x))
            x = linen.LayerNorm(1e-5)(x + linen.Dense(8)(h))
        return x


def wide_attention(query, key, value, *, is_causal, module, **options):
    """What nnx calls by default, ``jax.nn.dot_product_attention``, takes its softmax in float32 always."""
    return linen.dot_product_attention(query, key, value, **options)


class NnxEncoder(nnx.Module):
    def __init__(self, rngs, dtype):
        kind = {"param_dtype": dtype, "rngs": rngs}
        self.attention = nnx.List(
            [
                nnx.MultiHeadAttention(2, 8, decode=False, attention_fn=wide_attention, **kind)
                for _ in range(BLOCKS)
            ]
        )
        self.norm = nnx.List([nnx.LayerNorm(8, epsilon=1e-5, **kind) for _ in range(2 * BLOCKS)])
        self.inner = nnx.List([nnx.Linear(8, 16, **kind) for _ in range(BLOCKS)])
        self.outer = nnx.List([nnx.Linear(16, 8, **kind) for _ in range(BLOCKS)])

    def __call__(self, x):
        for i in range(BLOCKS):
            x = self.norm[2 * i](x + self.attention[i](x))
            x = self.norm[2 * i + 1](x + self.outer[i](nnx.gelu(self.inner[i](x))))
        return x


def encoder():
    return nn.chain(*(nn.transformer_block(2, mlp_ratio=2, pre_norm=False) for _ in range(BLOCKS)))


def encoder_names(attention, norm, inner, outer, last):
    blocks = {}
    for i in range(BLOCKS):
        block = f"transformer_block_{i}"
        blocks |= {
            f"{block}.attention": attention.format(i),
            f"{block}.attention_norm": norm.format(2 * i),
            f"{block}.mlp_norm": norm.format(2 * i + 1),
            f"{block}.mlp.dense_0": inner.format(last * i),
            f"{block}.mlp.dense_1": outer.format(last * i + last - 1),
        }
    return blocks


MODELS = {
    "lenet": Case(
        lambda dtype: LinenLeNet(),
        lambda rngs, dtype: NnxLeNet(rngs),
        lenet,
        (2, 12, 16, 1),
        {"conv_{i}": "Conv_{i}", "dense_{i}": "Dense_{i}"},
        {"conv_0": "conv1", "conv_1": "conv2", "dense_0": "head.layers.0", "dense_1": "head.layers.2"},
    ),
    "resnet": Case(
        lambda dtype: LinenResNet(),
        lambda rngs, dtype: NnxResNet(rngs),
        resnet,
        (3, 6, 6, 2),
        {
            "conv_0": "Conv_0",
            "batch_norm_0": "BatchNorm_0",
            "residual_{i}.body.conv_{j}": "LinenBlock_{i}.Conv_{j}",
            "residual_{i}.body.batch_norm_{j}": "LinenBlock_{i}.BatchNorm_{j}",
            "residual_1.shortcut.conv_0": "LinenBlock_1.Conv_2",
            "residual_1.shortcut.batch_norm_0": "LinenBlock_1.BatchNorm_2",
            "dense_0": "Dense_0",
        },
        {
            "conv_0": "stem",
            "batch_norm_0": "norm",
            "residual_{i}.body.conv_{j}": "block{i}.conv{j+1}",
            "residual_{i}.body.batch_norm_{j}": "block{i}.bn{j+1}",
            "residual_1.shortcut.conv_0": "block1.down.0",
            "residual_1.shortcut.batch_norm_0": "block1.down.1",
            "dense_0": "fc",
        },
        (False, True),
    ),
    "bidirectional lstm": Case(
        LinenBidirectional,
        NnxBidirectional,
        lambda: nn.chain(*(nn.bidirectional(nn.lstm(4)) for _ in range(2))),
        (2, 5, 3),
        {"bidirectional_{i}.forward": "LSTMCell_{i}", "bidirectional_{i}.backward": "OptimizedLSTMCell_{i}"},
        {
            "bidirectional_{i}.forward": "layers.{i}.forward_rnn.cell",
            "bidirectional_{i}.backward": "layers.{i}.backward_rnn.cell",
        },
    ),
    "gru": Case(
        lambda dtype: linen.RNN(linen.GRUCell(4, param_dtype=dtype)),
        lambda rngs, dtype: nnx.RNN(nnx.GRUCell(3, 4, param_dtype=dtype, rngs=rngs)),
        lambda: nn.chain(nn.gru(4)),
        (2, 5, 3),
        {"gru_0": "cell"},
        {"gru_0": "cell"},
    ),
    "gru original": Case(
        lambda dtype: linen.RNN(LinenOriginalCell(4, param_dtype=dtype)),
        lambda rngs, dtype: nnx.RNN(NnxOriginalCell(3, 4, param_dtype=dtype, rngs=rngs)),
        lambda: nn.chain(nn.gru(4, form="original")),
        (2, 5, 3),
        {"gru_0": "cell"},
        {"gru_0": "cell"},
    ),
    "encoder": Case(
        lambda dtype: LinenEncoder(),
        NnxEncoder,
        encoder,
        (2, 5, 8),
        encoder_names("MultiHeadDotProductAttention_{}", "LayerNorm_{}", "Dense_{}", "Dense_{}", 2),
        encoder_names("attention.{}", "norm.{}", "inner.{}", "outer.{}", 1),
    ),
}
