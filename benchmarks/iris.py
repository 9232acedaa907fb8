"""Milliseconds for 1000 full-batch steps of a 4-6-3 perceptron on Fisher's irises, plain descent."""

from dataclasses import dataclass
from typing import Any

from benchmarks._row import Contender, Laps, Row


@dataclass(frozen=True)
class Work:
    """How many steps a lap has, and the rate of descent."""

    steps: int = 1000
    learning_rate: float = 0.1


def _flowers() -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3, dtype=np.int32), 50)
    centres = np.array([[-1, 1, -1.3, -1.2], [0.1, -0.6, 0.3, 0.2], [0.9, -0.2, 1, 1.1]], np.float32)
    return centres[y] + 0.5 * rng.standard_normal((150, 4), dtype=np.float32), y


def jaxnn(work: Work, laps: Laps) -> None:
    """``train.make_step`` in ``lax.scan``: one executable makes all steps."""
    import jax
    import jax.numpy as jnp

    import jaxnn as nn
    from jaxnn import losses, metrics, optim, train

    data = jax.device_put(_flowers())
    task = train.supervised(
        nn.chain(nn.dense(6), jnp.tanh, nn.dense(3)), losses.cross_entropy, metrics=(metrics.accuracy,)
    )
    rule = optim.sgd(work.learning_rate)
    state = train.TrainState.create(task, rule, jax.random.key(0), data)
    step = train.make_step(task, rule)

    @jax.jit
    def steps(state: Any, data: Any) -> Any:
        return jax.lax.scan(lambda state, _: step(state, data), state, length=work.steps)

    while True:
        state, record = steps(state, data)
        laps(record["loss"].compute()[-1])


def flax_linen(work: Work, laps: Laps) -> None:
    """Flax linen: a compiled step that owns its state."""
    import functools

    import jax
    import jax.numpy as jnp
    import optax
    from flax import linen as nn
    from flax.training.train_state import TrainState

    x, y = jax.device_put(_flowers())
    model = nn.Sequential([nn.Dense(6), jnp.tanh, nn.Dense(3)])
    params = model.init(jax.random.key(0), x)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(work.learning_rate))

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any) -> Any:
        def loss_of(params: Any) -> Any:
            logits = state.apply_fn({"params": params}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits

        (loss, logits), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return state.apply_gradients(grads=grads), loss, (logits.argmax(-1) == y).sum()

    while True:
        for _ in range(work.steps):
            state, loss, _ = step(state, x, y)
        laps(loss)


def torch(work: Work, laps: Laps) -> None:
    """PyTorch; one thread, which is faster than more at this size."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = map(torch.from_numpy, _flowers())
    y = y.long()
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=work.learning_rate)
    loss_of = nn.CrossEntropyLoss()
    while True:
        for _ in range(work.steps):
            logits = model(x)
            loss = loss_of(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        laps(float(loss.detach()))


def numpy(work: Work, laps: Laps) -> None:
    """The gradient by hand in NumPy."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, y = _flowers()
    target = np.eye(3, dtype=np.float32)[y]
    w1 = rng.standard_normal((4, 6), dtype=np.float32) / 2
    w2 = rng.standard_normal((6, 3), dtype=np.float32) / 2.5
    b1, b2 = np.zeros(6, np.float32), np.zeros(3, np.float32)
    rate = np.float32(work.learning_rate)
    while True:
        for _ in range(work.steps):
            h = np.tanh(x @ w1 + b1)
            z = h @ w2 + b2
            e = np.exp(z - z.max(1, keepdims=True))
            p = e / e.sum(1, keepdims=True)
            dz = (p - target) / np.float32(len(x))
            dh = (dz @ w2.T) * (1 - h * h)
            w2 -= rate * (h.T @ dz)
            b2 -= rate * dz.sum(0)
            w1 -= rate * (x.T @ dh)
            b1 -= rate * dh.sum(0)
        laps(float(-np.log(p[np.arange(len(y)), y]).mean()))


ROW = Row(
    title="A 4-6-3 perceptron on 150 flowers: 1000 full-batch steps of plain descent",
    unit="ms",
    sizes={"full": Work(), "tiny": Work(steps=5)},
    contenders=(
        Contender("jaxnn", jaxnn, ("jaxnn", "jax", "jaxlib")),
        Contender("Flax linen", flax_linen, ("flax", "jax", "optax")),
        Contender("PyTorch", torch, ("torch",)),
        Contender("NumPy, gradient by hand", numpy, ("numpy",)),
    ),
    per_lap=lambda work: 1e3,
    note="Points drawn around the species' standardised means, in the data's shape. jaxnn's steps are one compiled "
    "loop; the others' are called one by one from Python.",
)
