"""Per-example gradients, the noise scale and the range test, against loops by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn as nn
from jaxnn import inspect, losses, optim, train

KEY = jax.random.key(0)
MODEL = nn.chain(nn.dense(5), jnp.tanh, nn.batch_norm(), nn.dense(3))
TASK = train.supervised(MODEL, losses.cross_entropy)
BATCH = (jax.random.normal(KEY, (7, 4)), jnp.array([0, 2, 1, 1, 0, 2, 2]))


@pytest.fixture(scope="module")
def trees():
    return TASK.init(KEY, BATCH)


@pytest.fixture(scope="module")
def by_loop(trees):
    """One jax.grad for each example, written without any of the code under test."""
    params, state = trees

    @jax.jit
    def one(params, x, y):
        return jax.grad(lambda p: losses.cross_entropy(MODEL.apply(p, state, x[None])[0], y[None])[0])(params)

    found = [one(params, x, y) for x, y in zip(*BATCH, strict=True)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)


@pytest.mark.parametrize("chunk", [3, 100])
def test_each_gradient_is_that_of_its_example(trees, by_loop, chunk):
    params, state = trees
    found = inspect.per_example_gradients(TASK, params, BATCH, state=state, chunk=chunk)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, by_loop)


def test_their_mean_is_the_gradient_of_the_batch(trees, by_loop):
    params, state = trees
    whole = jax.grad(lambda p: jnp.mean(TASK.evaluate(p, state, BATCH)[0].values))(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a.mean(0), b, rtol=1e-4, atol=1e-6), by_loop, whole)


def test_a_measure_alone_is_kept(trees, by_loop):
    params, state = trees
    found = inspect.per_example_gradients(TASK, params, BATCH, state=state, chunk=2, measure=optax.tree.norm)
    np.testing.assert_allclose(found, jax.vmap(optax.tree.norm)(by_loop), rtol=1e-5)


def test_every_example_draws_its_own_numbers():
    task = train.supervised(nn.chain(nn.dropout(0.5), nn.dense(1)), losses.squared_error)
    batch = (jnp.ones((6, 20)), jnp.ones((6, 1)))
    params, _ = task.init(KEY, batch)
    found = inspect.per_example_gradients(task, params, batch, key=KEY, train=True)["dense_0"]["kernel"]
    assert len({tuple(row.ravel().tolist()) for row in found}) == 6


@pytest.mark.parametrize("chunk", [3, 32])
def test_noise_scale_is_its_definition(trees, by_loop, chunk):
    params, state = trees
    rows = np.concatenate([np.asarray(a, np.float64).reshape(7, -1) for a in jax.tree.leaves(by_loop)], 1)
    noise = np.trace(np.cov(rows, rowvar=False))
    signal = np.sum(rows.mean(0) ** 2) - noise / 7
    found = inspect.gradient_noise_scale(TASK, params, BATCH, state=state, chunk=chunk)
    np.testing.assert_allclose(found.noise, noise, rtol=1e-4)
    np.testing.assert_allclose(found.signal, signal, rtol=1e-3)
    np.testing.assert_allclose(found.scale, noise / signal if signal > 0 else np.inf, rtol=1e-3)


def test_noise_scale_is_unbiased():
    """Gradients drawn from a normal distribution of known mean and covariance, in batches of 4."""
    spread = jnp.array([1.0, 2.0, 0.5])
    mean = jnp.array([0.3, -1.0, 0.5])
    data = mean[None, None] + spread[None, None] * jax.random.normal(KEY, (4000, 4, 3))

    def estimate(batch):
        return inspect.gradient_noise_scale(lambda p, b: jnp.sum(p[None] * b), jnp.ones(3), batch)

    found = jax.jit(jax.vmap(estimate))(data)
    np.testing.assert_allclose(found.noise.mean(), jnp.sum(spread**2), rtol=0.05)
    np.testing.assert_allclose(found.signal.mean(), jnp.sum(mean**2), rtol=0.1)


def test_examples_of_weight_zero_do_not_count(trees):
    params, state = trees
    padded = jax.tree.map(lambda a: jnp.concatenate([a, a[:2]]), BATCH)
    weights = jnp.array([1.0] * 7 + [0.0] * 2)
    found = inspect.gradient_noise_scale(TASK, params, (*padded, weights), state=state)
    plain = inspect.gradient_noise_scale(TASK, params, BATCH, state=state)
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("counting", [0, 1])
def test_fewer_than_two_examples_that_count_have_no_noise_scale(trees, counting):
    params, state = trees
    weights = jnp.arange(7) < counting
    batch = (*BATCH, weights.astype(jnp.float32))
    with pytest.raises(ValueError, match=f"at least 2 examples of weight above 0, got {counting} among 7"):
        inspect.gradient_noise_scale(TASK, params, batch, state=state)
    found = jax.jit(lambda b: inspect.gradient_noise_scale(TASK, params, b, state=state))(batch)
    assert np.isnan(found).all()


def test_range_test_finds_where_a_quadratic_learns():
    """Full batches of a linear model: the suggestion is stable, and beyond it the loss comes to grow."""
    x = jax.random.normal(KEY, (64, 3))
    data = (x, x[:, :1])
    task = train.supervised(nn.dense(1), losses.squared_error)
    params, _ = task.init(KEY, data)
    found = inspect.lr_range(task, optim.sgd, data, key=KEY, batch_size=64, low=1e-4, high=100.0)
    limit = inspect.stability_limit(task, params, data)
    assert 0.02 * limit < found.suggestion < limit < found.diverged
    assert found.rates.shape == found.losses.shape == found.smoothed.shape == (100,)
    np.testing.assert_allclose(found.rates[jnp.array([0, 99])], [1e-4, 100.0], rtol=1e-4)
    assert found.losses[-1] > 1e6 or not jnp.isfinite(found.losses[-1])


def test_range_test_is_training_at_those_rates():
    """The same losses as a loop of make_step over the same rates, on full batches."""
    data = (BATCH[0], BATCH[1])
    found = inspect.lr_range(TASK, optim.adam, data, key=KEY, batch_size=7, steps=4, low=1e-3, high=1.0)
    rule = optim.adam(lambda count: found.rates[count])
    state = train.TrainState.create(TASK, rule, KEY, data)
    step = train.make_step(TASK, rule)
    for loss in found.losses:
        state, record = step(state, data)
        np.testing.assert_allclose(record["loss"].compute(), loss, rtol=1e-3)


def test_range_test_over_many_starts():
    def run(key):
        return inspect.lr_range(TASK, optim.sgd, BATCH, key=key, batch_size=3, steps=20)

    many = jax.jit(jax.vmap(run))(jax.random.split(KEY, 3))
    assert many.losses.shape == (3, 20)
    assert len(set(many.losses[:, 0].tolist())) == 3


def test_a_loss_that_never_falls_has_no_suggestion():
    def evaluate(params, state, batch, *, key=None, train=False):
        from jaxnn.train import Terms

        return Terms(jnp.ones(len(batch)) + 0 * params["a"]), state

    still = train.Objective(lambda key, batch: ({"a": jnp.ones(())}, {}), evaluate)
    found = inspect.lr_range(still, optim.sgd, jnp.ones((8, 1)), key=KEY, batch_size=8, steps=20)
    assert jnp.isnan(found.suggestion)
    assert found.diverged == jnp.inf


@pytest.mark.parametrize("chunk", [2, 8])
def test_memory_is_that_of_a_chunk(trees, chunk):
    """No array of the whole program holds more gradients than a chunk has examples."""
    wide = train.supervised(nn.dense(50), losses.squared_error)
    batch = (jnp.ones((64, 40)), jnp.ones((64, 50)))
    params, _ = wide.init(KEY, batch)

    def sizes(jaxpr):
        for eqn in jaxpr.eqns:
            yield from (var.aval.size for var in eqn.outvars if hasattr(var.aval, "size"))
            for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
                if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                    yield from sizes(getattr(inner, "jaxpr", inner))

    scale = jax.make_jaxpr(lambda p: inspect.gradient_noise_scale(wide, p, batch, chunk=chunk))(params)
    norms = jax.make_jaxpr(
        lambda p: inspect.per_example_gradients(wide, p, batch, chunk=chunk, measure=optax.tree.norm)
    )(params)
    for program in (scale, norms):
        largest = max(sizes(program.jaxpr))
        assert chunk * 40 * 50 <= largest <= max(chunk * 40 * 50, 64 * 50)


def test_wrong_arguments(trees):
    params, state = trees
    with pytest.raises(ValueError, match="at least 2 examples, got 1"):
        inspect.gradient_noise_scale(TASK, params, jax.tree.map(lambda a: a[:1], BATCH), state=state)
    with pytest.raises(ValueError, match="chunk must be a positive int"):
        inspect.per_example_gradients(TASK, params, BATCH, chunk=0)
    with pytest.raises(ValueError, match="one number of examples"):
        inspect.per_example_gradients(TASK, params, (BATCH[0], BATCH[1][:3]))
    with pytest.raises(TypeError, match="must be a function of the learning rate"):
        inspect.lr_range(TASK, optim.sgd(0.1), BATCH, key=KEY)
    with pytest.raises(ValueError, match="low below high"):
        inspect.lr_range(TASK, optim.sgd, BATCH, key=KEY, low=1.0, high=0.1)
    with pytest.raises(ValueError, match="batch_size must be at most"):
        inspect.lr_range(TASK, optim.sgd, BATCH, key=KEY, batch_size=64)
