"""The network conv 32 - conv 64 - pool - 128 - 10 with dropout and Adadelta in jaxnn, Flax and PyTorch.

A lap is a number of steps over batches that lie ready in memory, on the device where the library has one.
"""

from typing import Any

from benchmarks._classify import Work, pictures
from benchmarks._row import Laps


def _batches(work: Work) -> list[tuple[Any, Any]]:
    x, y = pictures(work)
    x = x.reshape(-1, 28, 28, 1)
    starts = range(0, len(x) - work.batch + 1, work.batch)
    return [(x[i : i + work.batch], y[i : i + work.batch]) for i in starts]


def _device_batches(work: Work) -> list[tuple[Any, Any]]:
    import jax

    return jax.device_put(_batches(work))


def jaxnn(work: Work, laps: Laps) -> None:
    """``train.make_epoch`` on the device-resident pictures, as ``fit`` runs it."""
    import jax
    import jax.numpy as jnp

    import jaxnn as nn
    from jaxnn import losses, metrics, optim, train

    model = nn.chain(
        *(nn.conv(32, (3, 3)), jax.nn.relu, nn.conv(64, (3, 3)), jax.nn.relu),
        *(nn.max_pool((2, 2)), nn.dropout(0.25), nn.flatten()),
        *(nn.dense(128), jax.nn.relu, nn.dropout(0.5), nn.dense(10)),
    )
    task = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    rule = optim.adadelta(1.0)
    x, y = pictures(work)
    data = jnp.asarray(x.reshape(-1, 28, 28, 1)), jnp.asarray(y)
    state = train.TrainState.create(task, rule, jax.random.key(0), data)
    epoch = train.make_epoch(task, rule, work.batch)
    while True:
        state, record = epoch(state, data, stop=work.steps)
        laps(record["loss"].compute())


def flax_nnx(work: Work, laps: Laps) -> None:
    """Flax nnx with ``nnx.jit`` and ``cached_partial``."""
    import numpy as np
    import optax
    from flax import nnx

    class Network(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.first = nnx.Conv(1, 32, (3, 3), padding="VALID", rngs=rngs)
            self.second = nnx.Conv(32, 64, (3, 3), padding="VALID", rngs=rngs)
            self.drop_maps = nnx.Dropout(0.25, rngs=rngs)
            self.hidden = nnx.Linear(12 * 12 * 64, 128, rngs=rngs)
            self.drop_hidden = nnx.Dropout(0.5, rngs=rngs)
            self.last = nnx.Linear(128, 10, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = nnx.relu(self.second(nnx.relu(self.first(x))))
            x = self.drop_maps(nnx.max_pool(x, (2, 2), strides=(2, 2))).reshape(len(x), -1)
            return self.last(self.drop_hidden(nnx.relu(self.hidden(x))))

    model = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adadelta(1.0), wrt=nnx.Param)

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        def loss_of(model: Any) -> Any:
            logits = model(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits

        (loss, logits), grads = nnx.value_and_grad(loss_of, has_aux=True)(model)
        optimizer.update(model, grads)
        return loss, (logits.argmax(-1) == y).sum()

    cached = nnx.cached_partial(step, model, optimizer)
    batches = _device_batches(work)
    while True:
        losses = [cached(*batches[i % len(batches)])[0] for i in range(work.steps)]
        laps(np.mean([float(loss) for loss in losses]))


def torch(work: Work, laps: Laps) -> None:
    """PyTorch in its usual layout, and channels last, which its documentation gives for speed on CPU."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
        *(nn.Linear(12 * 12 * 64, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    loss_of = nn.CrossEntropyLoss()
    batches = [
        (torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(y).long()) for x, y in _batches(work)
    ]
    while True:
        total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for i in range(work.steps):
            x, y = batches[i % len(batches)]
            logits = model(x)
            loss = loss_of(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
            right += (logits.argmax(-1) == y).sum()
        laps(float(total) / work.steps)
