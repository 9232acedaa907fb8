"""The perceptron 784-512-512-10 with dropout and RMSprop in jaxnn, and its matrix products alone."""

from typing import Any

from benchmarks._classify import Work, pictures
from benchmarks._row import Laps


def fit(work: Work, laps: Laps) -> None:
    """``train.fit``, as the README shows it."""
    import jax

    import jaxnn as nn
    from jaxnn import losses, metrics, optim, train

    model = nn.chain(
        *(nn.dense(work.hidden), jax.nn.relu, nn.dropout(work.rate)),
        *(nn.dense(work.hidden), jax.nn.relu, nn.dropout(work.rate)),
        nn.dense(10),
    )
    task = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    train.fit(
        task,
        optim.rmsprop(work.learning_rate),
        pictures(work),
        epochs=10**6,
        batch_size=work.batch,
        key=jax.random.key(0),
        callbacks=[lambda record: laps(record["loss"])],
        progress=False,
    )


def products(work: Work, laps: Laps) -> None:
    """Only the eight matrix products of a step, one after the other in one compiled loop."""
    import jax
    import jax.numpy as jnp

    sizes = (784, work.hidden, work.hidden, 10)
    keys = jax.random.split(jax.random.key(0), 3)
    weights = [
        jax.random.normal(k, (i, o)) * i**-0.5 for k, i, o in zip(keys, sizes, sizes[1:], strict=False)
    ]
    x = jax.random.normal(jax.random.key(1), (8 * work.batch, 784))

    def step(index: Any, carry: Any) -> Any:
        h = [jax.lax.dynamic_slice_in_dim(x, (index % 7) * work.batch, work.batch)]
        for kernel in weights:
            h.append(h[-1] @ kernel)
        cotangent, grads = h.pop(), []
        for kernel in reversed(weights):
            grads.append(h.pop().T @ cotangent)
            cotangent = cotangent @ kernel.T if h else None
        return grads

    @jax.jit
    def epoch(steps: Any) -> Any:
        start = [jnp.zeros(kernel.shape) for kernel in reversed(weights)]
        return jax.lax.fori_loop(0, steps, step, start)

    while True:
        laps(epoch(-(-work.examples // work.batch))[0][0, 0])


def flops(work: Work) -> float:
    """Floating-point operations of an epoch's matrix products; the input needs no gradient."""
    weights = 784 * work.hidden + work.hidden**2 + work.hidden * 10
    return work.examples * (6.0 * weights - 2.0 * 784 * work.hidden)
