"""Statistics of every layer from inside the compiled loop, equal to those computed by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn as nn
from jaxnn import inspect, losses, metrics, optim, train

KEY = jax.random.key(0)
RULE = optim.sgd(0.1)
DATA = (jax.random.normal(KEY, (12, 3)), jnp.ones((12, 2)))


def deep():
    body = nn.chain(nn.dense(4), jax.nn.relu)
    return nn.chain(nn.dense(4), nn.repeat(body, 3), nn.batch_norm(), nn.dense(2))


@pytest.fixture(scope="module")
def one_step():
    task = train.supervised(deep(), losses.squared_error, metrics={"size": size})
    state = train.TrainState.create(task, RULE, KEY, DATA)
    new, record = train.make_step(inspect.gradient_flow(task), RULE)(state, DATA)
    return task, state, new, record


def size(outputs, targets, weights):
    return metrics.Mean.of(jnp.mean(jnp.abs(outputs), -1), weights)


def test_numbers_are_those_of_their_definition(one_step):
    _, state, new, record = one_step
    model = deep()

    def loss(params):
        y, _ = model.apply(params, state.state, DATA[0], train=True)
        return jnp.mean(losses.squared_error(y, DATA[1]))

    grads = jax.jit(jax.grad(loss))(state.params)
    inside = inspect.intermediates(model, state.params, state.state, DATA[0], train=True)
    found = {name: np.asarray(sums.compute()) for name, sums in record.items()}

    def norm(tree, copies=0):
        leaves = jax.tree.leaves(tree)
        return np.sqrt(sum(np.sum(np.asarray(a) ** 2, tuple(range(copies, a.ndim))) for a in leaves))

    for path, part, copies in (
        ("dense_0", lambda t: t["dense_0"], 0),
        ("repeat_0.dense_0", lambda t: t["repeat_0"]["dense_0"], 1),
        ("batch_norm_0", lambda t: t["batch_norm_0"], 0),
    ):
        np.testing.assert_allclose(found[f"gradient_norm.{path}"], norm(part(grads), copies), rtol=1e-4)
        change = jax.tree.map(jnp.subtract, part(new.params), part(state.params))
        ratio = norm(change, copies) / norm(part(state.params), copies)
        np.testing.assert_allclose(found[f"update_ratio.{path}"], ratio, rtol=1e-3)
    for path, axes in (("dense_0", (0, 1)), ("repeat_0.relu_0", (1, 2)), ("dense_1", (0, 1))):
        y = np.asarray(inside[path])
        np.testing.assert_allclose(found[f"activation_mean.{path}"], y.mean(axes), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found[f"activation_rms.{path}"], np.sqrt((y**2).mean(axes)), rtol=1e-5)
        np.testing.assert_allclose(found[f"activation_zero.{path}"], (y == 0).mean(axes), rtol=1e-6)
    assert found["activation_zero.repeat_0.relu_0"].shape == (3,)
    assert {"loss", "size"} < set(found)


def test_training_stays_what_it_is(one_step):
    task, state, new, _ = one_step
    plain, record = train.make_step(task, RULE)(state, DATA)
    jax.tree.map(np.testing.assert_array_equal, (new.params, new.state), (plain.params, plain.state))
    assert set(record) == {"loss", "size"}


def test_an_epoch_averages_its_steps(one_step):
    """Roots of means of squares, over unequal batches, in one executable."""
    task, state, _, _ = one_step
    watched = inspect.gradient_flow(task)
    owned = jax.tree.map(jnp.copy, state)
    _, whole = train.make_epoch(watched, RULE, 8)(owned, DATA, order=jnp.arange(12))
    step = train.make_step(watched, RULE)
    state, first = step(state, jax.tree.map(lambda a: a[:8], DATA))
    _, second = step(state, jax.tree.map(lambda a: a[8:], DATA))
    name = "gradient_norm.repeat_0.dense_0"
    a, b = first[name].compute(), second[name].compute()
    np.testing.assert_allclose(whole[name].compute(), jnp.sqrt((a**2 + b**2) / 2), rtol=1e-4)
    name = "activation_mean.dense_0"
    a, b = first[name].compute(), second[name].compute()
    np.testing.assert_allclose(whole[name].compute(), (2 * a + b) / 3, rtol=1e-4)


def test_one_record_a_step_by_scan(one_step):
    task, state, _, record = one_step
    step = train.make_step(inspect.gradient_flow(task), RULE)
    _, records = jax.lax.scan(step, state, jax.tree.map(lambda a: jnp.stack([a, a]), DATA))
    stacked = records["gradient_norm.dense_0"].compute()
    assert stacked.shape == (2,)
    np.testing.assert_allclose(stacked[0], record["gradient_norm.dense_0"].compute(), rtol=1e-5)


def test_fit_reports_it_and_validation_does_not():
    task = train.supervised(deep(), losses.squared_error)
    fit = train.fit(
        inspect.gradient_flow(task),
        RULE,
        DATA,
        epochs=2,
        batch_size=6,
        key=KEY,
        validation=DATA,
        progress=False,
    )
    assert len(fit.history["gradient_norm.dense_1"]) == 2
    assert [name for name in fit.history if name.startswith("val_")] == ["val_loss"]


def test_a_vanishing_gradient_is_seen():
    """Nine sigmoids: each layer before passes on less, less than a ten-thousandth at last."""
    model = nn.chain(*[part for _ in range(9) for part in (nn.dense(8), jax.nn.sigmoid)], nn.dense(1))
    task = train.supervised(model, losses.squared_error)
    batch = (DATA[0], jnp.ones((12, 1)))
    state = train.TrainState.create(task, RULE, KEY, batch)
    _, record = train.make_step(inspect.gradient_flow(task), RULE)(state, batch)
    norms = [float(record[f"gradient_norm.dense_{i}"].compute()) for i in range(10)]
    assert all(a < b for a, b in itertools.pairwise(norms[:-1]))
    assert norms[0] < 1e-4 * norms[-1]


def test_padding_does_not_count():
    mask = jnp.arange(5)[None] < jnp.array([5, 2])[:, None]
    x = nn.Masked(jax.random.normal(KEY, (2, 5, 3)), mask)
    task = train.supervised(nn.chain(nn.dense(2), jnp.tanh), losses.squared_error)
    batch = (x, jnp.ones((2, 5, 2)))
    state = train.TrainState.create(task, RULE, KEY, batch)
    _, record = train.make_step(inspect.gradient_flow(task), RULE)(state, batch)
    y = jnp.tanh(x.value @ state.params["dense_0"]["kernel"])
    np.testing.assert_allclose(record["activation_mean.tanh_0"].compute(), y[mask].mean(), rtol=1e-5)
    assert record["activation_zero.tanh_0"].compute() == 0


def test_partitions_and_models_without_children():
    task = train.supervised(nn.dense(2), losses.squared_error)
    state = train.TrainState.create(task, RULE, KEY, DATA)
    record = jax.eval_shape(train.make_step(inspect.gradient_flow(task), RULE), state, DATA)[1]
    assert set(record) == {"loss", "gradient_norm.model", "update_ratio.model"}
    whole = train.supervised(deep(), losses.squared_error)
    part = train.partition(whole.init(KEY, DATA)[0], "dense_1.*").objective(inspect.gradient_flow(whole))
    state = train.TrainState.create(part, RULE, KEY, DATA)
    record = jax.eval_shape(train.make_step(part, RULE), state, DATA)[1]
    assert [name for name in record if name.startswith("gradient_norm")] == ["gradient_norm.dense_1"]
    assert "activation_rms.dense_0" in record


def test_an_objective_of_ones_own_without_a_model():
    def evaluate(params, state, batch, *, key=None, train=False):
        return train_terms(jnp.sum((batch - params["w"][None]) ** 2, -1)), state

    train_terms = train.Terms
    own = train.Objective(lambda key, batch: ({"w": jnp.ones(3)}, ()), evaluate)
    state = train.TrainState.create(own, RULE, KEY, DATA[0])
    new, record = train.make_step(inspect.gradient_flow(own), RULE)(state, DATA[0])
    gradient = 2 * (1 - DATA[0].mean(0))
    np.testing.assert_allclose(record["gradient_norm.model"].compute(), jnp.linalg.norm(gradient), rtol=1e-5)
    assert inspect.locate_nonfinite(own, RULE, new, [DATA[0]]) is None
    broken = inspect.locate_nonfinite(own, optax.scale(jnp.inf), state._replace(opt_state=()), [DATA[0]])
    assert (broken.during, broken.path) == ("update", "params.w")


def test_wrong_arguments():
    with pytest.raises(TypeError, match="gradient_flow: expected an Objective"):
        inspect.gradient_flow(nn.dense(2))
