"""Training steps of a transformer that predicts characters: the work, in jaxnn and in its peers.

Each contender embeds tokens and positions (both learned), runs pre-norm blocks of causal self attention and a
perceptron with GELU (the tanh form), then a norm and a linear head, and takes a step of AdamW on the mean
cross entropy. No dropout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks._row import Contender, Laps


@dataclass(frozen=True)
class Work:
    """Sizes of the work; ``steps`` are taken in a lap."""

    batch: int = 16
    time: int = 128
    features: int = 256
    heads: int = 8
    layers: int = 4
    vocabulary: int = 65
    steps: int = 8
    learning_rate: float = 3e-4
    weight_decay: float = 1e-4


def text(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Tokens ``[batch, time]`` and the next ones."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, work.vocabulary, (work.batch, work.time + 1), dtype=np.int32)
    return tokens[:, :-1], tokens[:, 1:]


def _train(work: Work, laps: Laps, carry: Any, step: Callable[..., Any]) -> None:
    while True:
        for _ in range(work.steps):
            carry, loss = step(carry)
        laps(float(loss))


def _ours(work: Work, laps: Laps, blocks: Callable[[Any], Any]) -> None:
    import jax
    import jax.numpy as jnp

    import jaxnn as nn
    from jaxnn import losses, optim, train

    model = nn.chain(
        nn.embedding(work.vocabulary, work.features),
        nn.positional_embedding(work.time),
        blocks(nn.transformer_block(work.heads, causal=True)),
        nn.layer_norm(),
        nn.dense(work.vocabulary),
    )
    batch = tuple(map(jnp.asarray, text(work)))
    task = train.supervised(model, losses.cross_entropy)
    rule = optim.adamw(work.learning_rate, weight_decay=work.weight_decay)
    state = train.TrainState.create(task, rule, jax.random.key(0), batch)
    epoch = train.make_epoch(task, rule, work.batch)
    order = jnp.tile(jnp.arange(work.batch), work.steps)
    while True:
        state, record = epoch(state, batch, order)
        laps(float(record["loss"].compute()))


def jaxnn(work: Work, laps: Laps) -> None:
    """A chain of ``nn.transformer_block`` under ``train.make_epoch``, a lap one call of the compiled loop."""
    import jaxnn as nn

    _ours(work, laps, lambda block: nn.chain(*[block] * work.layers))


def jaxnn_repeat(work: Work, laps: Laps) -> None:
    """The same blocks as one compiled body, ``nn.repeat``."""
    import jaxnn as nn

    _ours(work, laps, lambda block: nn.repeat(block, work.layers))


def flax_nnx(work: Work, laps: Laps) -> None:
    """Flax nnx, with ``nnx.jit`` and ``cached_partial``."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    class Block(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            width = work.features
            self.first, self.second = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(work.heads, width, decode=False, rngs=rngs)
            self.widen, self.narrow = (
                nnx.Linear(width, 4 * width, rngs=rngs),
                nnx.Linear(4 * width, width, rngs=rngs),
            )

        def __call__(self, x: Any, mask: Any) -> Any:
            x = x + self.attention(self.first(x), mask=mask)
            return x + self.narrow(nnx.gelu(self.widen(self.second(x))))

    class Model(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.tokens = nnx.Embed(work.vocabulary, work.features, rngs=rngs)
            self.positions = nnx.Embed(work.time, work.features, rngs=rngs)
            self.blocks = nnx.List(Block(rngs) for _ in range(work.layers))
            self.norm = nnx.LayerNorm(work.features, rngs=rngs)
            self.head = nnx.Linear(work.features, work.vocabulary, rngs=rngs)

        def __call__(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.positions(jnp.arange(tokens.shape[1]))
            mask = nnx.make_causal_mask(tokens)
            for block in self.blocks:
                x = block(x, mask)
            return self.head(self.norm(x))

    model = Model(nnx.Rngs(0))
    rule = optax.adamw(work.learning_rate, weight_decay=work.weight_decay)
    optimizer = nnx.Optimizer(model, rule, wrt=nnx.Param)
    x, y = map(jnp.asarray, text(work))

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        def loss_of(model: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        loss, grads = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, grads)
        return loss

    jax.block_until_ready(x)
    cached = nnx.cached_partial(step, model, optimizer)
    _train(work, laps, None, lambda carry: (carry, cached(x, y)))


def pytorch(work: Work, laps: Laps) -> None:
    """PyTorch, with one product for queries, keys and values and its fused attention."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    width = work.features

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
            )

        def forward(self, x: Any) -> Any:
            shape = (*x.shape[:2], work.heads, width // work.heads)
            q, k, v = (a.view(shape).transpose(1, 2) for a in self.qkv(self.first(x)).split(width, dim=2))
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(x.shape))
            return x + self.mlp(self.second(x))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(work.vocabulary, width), nn.Embedding(work.time, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(work.layers)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, work.vocabulary)

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
            return self.head(self.norm(self.blocks(x)))

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=work.learning_rate, weight_decay=work.weight_decay)
    x, y = (torch.from_numpy(a).long() for a in text(work))

    def step(carry: Any) -> Any:
        loss = functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return carry, loss.detach()

    _train(work, laps, None, step)


CONTENDERS = (
    Contender("jaxnn", jaxnn, ("jaxnn", "jax", "jaxlib")),
    Contender("jaxnn, repeat", jaxnn_repeat, ("jaxnn", "jax", "jaxlib")),
    Contender("Flax nnx", flax_nnx, ("flax", "jax", "optax")),
    Contender("PyTorch", pytorch, ("torch",)),
)
