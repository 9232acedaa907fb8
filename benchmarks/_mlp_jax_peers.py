"""The perceptron 784-512-512-10 with dropout and RMSprop in Flax, Equinox, Haiku and Keras on JAX.

Every loop reports the mean training loss of an epoch and counts right answers, as Keras does. Batches are
taken from NumPy arrays and handed to a compiled step that owns (donates) its state; losses stay on the device
until the epoch ends.
"""

import functools
from typing import Any

import numpy as np

from benchmarks._classify import Work, batches, pictures
from benchmarks._row import Laps


def _train(work: Work, laps: Laps, carry: Any, step: Any) -> None:
    x, y = pictures(work)
    rng = np.random.default_rng(0)
    while True:
        losses = []
        for images, labels in batches(rng, x, y, work.batch):
            carry, loss, _ = step(carry, images, labels)
            losses.append(loss)
        laps(np.mean([float(loss) for loss in losses]))


def flax_linen(work: Work, laps: Laps) -> None:
    """Flax linen with ``TrainState``."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import linen as nn
    from flax.training.train_state import TrainState

    class Perceptron(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool) -> Any:
            for _ in range(2):
                x = nn.relu(nn.Dense(work.hidden)(x))
                x = nn.Dropout(work.rate, deterministic=not train)(x)
            return nn.Dense(10)(x)

    model = Perceptron()
    params = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), jnp.zeros((1, 784)))[
        "params"
    ]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.rmsprop(work.learning_rate))
    key = jax.random.key(1)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any) -> Any:
        def loss_of(params: Any) -> Any:
            keys = {"dropout": jax.random.fold_in(key, state.step)}
            logits = state.apply_fn({"params": params}, x, train=True, rngs=keys)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits

        (loss, logits), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return state.apply_gradients(grads=grads), loss, (logits.argmax(-1) == y).sum()

    _train(work, laps, state, step)


def flax_nnx(work: Work, laps: Laps) -> None:
    """Flax nnx with ``nnx.jit`` and ``cached_partial``, which its documentation gives for speed."""
    import optax
    from flax import nnx

    class Perceptron(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.first = nnx.Linear(784, work.hidden, rngs=rngs)
            self.second = nnx.Linear(work.hidden, work.hidden, rngs=rngs)
            self.last = nnx.Linear(work.hidden, 10, rngs=rngs)
            self.drop_first = nnx.Dropout(work.rate, rngs=rngs)
            self.drop_second = nnx.Dropout(work.rate, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = self.drop_first(nnx.relu(self.first(x)))
            return self.last(self.drop_second(nnx.relu(self.second(x))))

    model = Perceptron(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.rmsprop(work.learning_rate), wrt=nnx.Param)

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        def loss_of(model: Any) -> Any:
            logits = model(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits

        (loss, logits), grads = nnx.value_and_grad(loss_of, has_aux=True)(model)
        optimizer.update(model, grads)
        return loss, (logits.argmax(-1) == y).sum()

    cached = nnx.cached_partial(step, model, optimizer)
    _train(work, laps, None, lambda carry, x, y: (carry, *cached(x, y)))


def equinox(work: Work, laps: Laps) -> None:
    """Equinox with ``filter_jit`` and ``vmap`` over the examples."""
    import equinox as eqx
    import jax
    import optax

    keys = jax.random.split(jax.random.key(0), 3)
    model = eqx.nn.Sequential(
        [
            eqx.nn.Linear(784, work.hidden, key=keys[0]),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Dropout(work.rate),
            eqx.nn.Linear(work.hidden, work.hidden, key=keys[1]),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Dropout(work.rate),
            eqx.nn.Linear(work.hidden, 10, key=keys[2]),
        ]
    )
    optimizer = optax.rmsprop(work.learning_rate)
    carry = (model, optimizer.init(eqx.filter(model, eqx.is_array)), jax.random.key(1))

    @eqx.filter_jit(donate="all-except-first")
    def compiled(batch: Any, carry: Any) -> Any:
        model, opt_state, key = carry
        x, y = batch
        key, drop = jax.random.split(key)

        def loss_of(model: Any) -> Any:
            logits = jax.vmap(lambda one, k: model(one, key=k))(x, jax.random.split(drop, len(x)))
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits

        (loss, logits), grads = eqx.filter_value_and_grad(loss_of, has_aux=True)(model)
        updates, opt_state = optimizer.update(grads, opt_state, model)
        carry = (eqx.apply_updates(model, updates), opt_state, key)
        return carry, loss, (logits.argmax(-1) == y).sum()

    _train(work, laps, carry, lambda carry, x, y: compiled((x, y), carry))


def haiku(work: Work, laps: Laps) -> None:
    """Haiku with ``hk.transform``."""
    import haiku as hk
    import jax
    import jax.numpy as jnp
    import optax

    def forward(x: Any, train: bool) -> Any:
        for _ in range(2):
            x = jax.nn.relu(hk.Linear(work.hidden)(x))
            x = hk.dropout(hk.next_rng_key(), work.rate, x) if train else x
        return hk.Linear(10)(x)

    model = hk.transform(forward)
    params = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), jnp.zeros((1, 784)))
    optimizer = optax.rmsprop(work.learning_rate)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(carry: Any, x: Any, y: Any) -> Any:
        params, opt_state, key = carry
        key, drop = jax.random.split(key)

        def loss_of(params: Any) -> Any:
            logits = model.apply(params, drop, x, train=True)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits

        (loss, logits), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, key), loss, (logits.argmax(-1) == y).sum()

    _train(work, laps, (params, optimizer.init(params), jax.random.key(1)), step)


def keras(work: Work, laps: Laps) -> None:
    """Keras on JAX with ``fit``."""
    import keras

    drop = functools.partial(keras.layers.Dropout, work.rate)
    hidden = functools.partial(keras.layers.Dense, work.hidden, activation="relu")
    model = keras.Sequential(
        [keras.Input((784,)), hidden(), drop(), hidden(), drop(), keras.layers.Dense(10)]
    )
    model.compile(
        optimizer=keras.optimizers.RMSprop(work.learning_rate, epsilon=1e-8),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    report = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: laps(logs["loss"]))
    x, y = pictures(work)
    model.fit(x, y, batch_size=work.batch, epochs=10**6, verbose=0, callbacks=[report])
