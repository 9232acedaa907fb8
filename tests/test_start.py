"""The compiled beginning of a run: TrainState.create's numbers, and inits that cannot be compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train
from jaxnn.train._start import created

X = jnp.ones((1, 8, 8, 3))


@pytest.mark.parametrize("ema", [False, True])
def test_it_has_the_numbers_of_create(ema) -> None:
    model = nn.chain(
        nn.embedding(11, 3), nn.conv(5, (3, 3)), nn.batch_norm(), jax.nn.relu, nn.flatten(), nn.dropout(0.1),
        nn.dense(300, kernel_init=jax.nn.initializers.glorot_uniform()), nn.layer_norm(),
        nn.dense(4, kernel_init=jax.nn.initializers.orthogonal()),
    )  # fmt: skip
    task, rule, key = train.supervised(model, losses.squared_error), optim.adam(1e-3), jax.random.key(3)
    batch = jnp.ones((1, 8, 8), jnp.int32), jnp.ones((1, 4))
    ours = created(task, rule, key, batch, ema)
    plain = train.TrainState.create(task, rule, key, batch, ema=ema)
    assert jax.tree.structure(ours) == jax.tree.structure(plain)
    for mine, other in zip(*map(jax.tree.leaves, (ours._replace(key=0), plain._replace(key=0))), strict=True):
        np.testing.assert_allclose(mine, other, rtol=3e-7)
    assert (jax.random.key_data(ours.key) == jax.random.key_data(plain.key)).all()
    again = created(task, rule, key, batch, ema)
    for mine, other in zip(jax.tree.leaves(ours.params), jax.tree.leaves(again.params), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert all(not leaf.weak_type for leaf in jax.tree.leaves(ours.params))


def test_an_init_that_looks_at_numbers_runs_as_it_is() -> None:
    def init(key, spec):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        return {"kernel": jnp.asarray(rng.standard_normal((spec.shape[-1], 2)), jnp.float32)}

    layer = nn.stateless("drawn_by_numpy", init, lambda params, x: x @ params["kernel"])
    task = train.supervised(layer, losses.squared_error)
    data = jnp.ones((4, 3)), jnp.ones((4, 2))
    result = train.fit(
        task, optim.sgd(0.1), data, epochs=1, batch_size=2, key=jax.random.key(0), progress=False
    )
    assert result.params["kernel"].shape == (3, 2)


def test_a_mistake_in_an_init_is_told_as_it_is() -> None:
    def init(key, spec):
        raise ValueError("no kernel for this input")

    task = train.supervised(nn.stateless("broken", init, lambda params, x: x), losses.squared_error)
    with pytest.raises(ValueError, match="no kernel for this input"):
        train.fit(task, optim.sgd(0.1), (X, X), epochs=1, batch_size=1, key=jax.random.key(0), progress=False)
