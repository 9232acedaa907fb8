"""Training steps of stacked LSTMs or GRUs: the work, in jaxnn and in its peers.

Each contender computes the mean squared error of a linear head on the last output, its gradient and a step of
descent; the input has as many features as the layers, and no bit of it changes from step to step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks._row import Contender, Laps


@dataclass(frozen=True)
class Work:
    """Sizes of the work; ``steps`` are taken in a lap, and ``cell`` is ``"lstm"`` or ``"gru"``."""

    batch: int = 50
    time: int = 50
    features: int = 128
    layers: int = 2
    steps: int = 20
    learning_rate: float = 1e-3
    cell: str = "lstm"


def sequences(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``[batch, time, features]`` and targets ``[batch, 1]``."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((work.batch, work.time, work.features), np.float32)
    return x, rng.standard_normal((work.batch, 1), np.float32)


def _train(work: Work, laps: Laps, carry: Any, step: Callable[..., Any]) -> None:
    while True:
        for _ in range(work.steps):
            carry, loss = step(carry)
        laps(float(loss))


def jaxnn(work: Work, laps: Laps) -> None:
    """A chain of ``nn.lstm`` or ``nn.gru`` under ``train.make_epoch``, a lap one call of the compiled loop."""
    import jax
    import jax.numpy as jnp

    import jaxnn as nn
    from jaxnn import losses, optim, train

    layer = nn.lstm if work.cell == "lstm" else nn.gru
    last = layer(work.features, return_sequences=False)
    model = nn.chain(*[layer(work.features)] * (work.layers - 1), last, nn.dense(1))
    data = tuple(map(jnp.asarray, sequences(work)))
    task, rule = train.supervised(model, losses.squared_error), optim.sgd(work.learning_rate)
    state = train.TrainState.create(task, rule, jax.random.key(0), data)
    epoch = train.make_epoch(task, rule, work.batch)
    order = jnp.tile(jnp.arange(work.batch), work.steps)
    while True:
        state, record = epoch(state, data, order)
        laps(float(record["loss"].compute()))


def flax_nnx(work: Work, laps: Laps) -> None:
    """Flax nnx: ``RNN`` over ``OptimizedLSTMCell`` or ``GRUCell``, with ``nnx.jit`` and ``cached_partial``."""
    import jax.numpy as jnp
    import optax
    from flax import nnx

    cell = nnx.OptimizedLSTMCell if work.cell == "lstm" else nnx.GRUCell

    class Model(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.layers = nnx.List(
                nnx.RNN(cell(work.features, work.features, rngs=rngs)) for _ in range(work.layers)
            )
            self.head = nnx.Linear(work.features, 1, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            for layer in self.layers:
                x = layer(x)
            return self.head(x[:, -1])

    model = Model(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(work.learning_rate), wrt=nnx.Param)
    x, y = map(jnp.asarray, sequences(work))

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        loss, grads = nnx.value_and_grad(lambda m: jnp.mean((m(x) - y) ** 2))(model)
        optimizer.update(model, grads)
        return loss

    cached = nnx.cached_partial(step, model, optimizer)
    _train(work, laps, None, lambda carry: (carry, cached(x, y)))


def equinox(work: Work, laps: Laps) -> None:
    """Equinox: ``LSTMCell`` or ``GRUCell`` under ``lax.scan``, mapped over the batch."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    lstm = work.cell == "lstm"
    make = eqx.nn.LSTMCell if lstm else eqx.nn.GRUCell

    class Model(eqx.Module):
        cells: list[Any]
        head: Any

        def __call__(self, x: Any) -> Any:
            for cell in self.cells:
                zeros = jnp.zeros(work.features)

                def step(carry: Any, x: Any, cell: Any = cell) -> Any:
                    carry = cell(x, carry)
                    return carry, carry[0] if lstm else carry

                _, x = jax.lax.scan(step, (zeros, zeros) if lstm else zeros, x)
            return self.head(x[-1])

    *keys, last = jax.random.split(jax.random.key(0), work.layers + 1)
    cells = [make(work.features, work.features, key=key) for key in keys]
    model = Model(cells, eqx.nn.Linear(work.features, 1, key=last))
    x, y = map(jnp.asarray, sequences(work))

    @eqx.filter_jit
    def step(model: Any, x: Any, y: Any) -> Any:
        loss, grads = eqx.filter_value_and_grad(lambda m: jnp.mean((jax.vmap(m)(x) - y) ** 2))(model)
        return eqx.apply_updates(model, jax.tree.map(lambda g: -work.learning_rate * g, grads)), loss

    _train(work, laps, model, lambda model: step(model, x, y))


def haiku(work: Work, laps: Laps) -> None:
    """Haiku: ``hk.dynamic_unroll`` of ``hk.LSTM`` or ``hk.GRU``, time first."""
    import haiku as hk
    import jax
    import jax.numpy as jnp

    def forward(x: Any) -> Any:
        x = jnp.swapaxes(x, 0, 1)
        for _ in range(work.layers):
            cell = (hk.LSTM if work.cell == "lstm" else hk.GRU)(work.features)
            x, _ = hk.dynamic_unroll(cell, x, cell.initial_state(work.batch))
        return hk.Linear(1)(x[-1])

    model = hk.without_apply_rng(hk.transform(forward))
    x, y = map(jnp.asarray, sequences(work))

    @jax.jit
    def step(params: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(lambda p: jnp.mean((model.apply(p, x) - y) ** 2))(params)
        return jax.tree.map(lambda p, g: p - work.learning_rate * g, params, grads), loss

    _train(work, laps, model.init(jax.random.key(0), x), lambda params: step(params, x, y))


def torch(work: Work, laps: Laps) -> None:
    """PyTorch: ``nn.LSTM`` or ``nn.GRU`` with ``batch_first``."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    kind = nn.LSTM if work.cell == "lstm" else nn.GRU
    layers = kind(work.features, work.features, work.layers, batch_first=True)
    head = nn.Linear(work.features, 1)
    optimizer = torch.optim.SGD([*layers.parameters(), *head.parameters()], lr=work.learning_rate)
    x, y = map(torch.from_numpy, sequences(work))

    def step(carry: Any) -> Any:
        loss = ((head(layers(x)[0][:, -1]) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return carry, loss.detach()

    _train(work, laps, None, step)


CONTENDERS = (
    Contender("jaxnn", jaxnn, ("jaxnn", "jax", "jaxlib")),
    Contender("Flax nnx", flax_nnx, ("flax", "jax", "optax")),
    Contender("Equinox", equinox, ("equinox", "jax")),
    Contender("Haiku", haiku, ("dm-haiku", "jax")),
    Contender("PyTorch", torch, ("torch",)),
)
