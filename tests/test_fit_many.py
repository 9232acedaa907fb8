"""Many trainings at once: each lane is its single run, but for rounding."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, metrics, optim, train


def make_train(dtype, epochs: int = 2):
    """Without a bias before the batch norm: its gradient is 0 but for rounding, of which Adam makes whole steps."""
    own = {"param_dtype": dtype}
    model = nn.chain(
        nn.dense(8, use_bias=False, **own),
        nn.batch_norm(**own),
        jnp.tanh,
        nn.dropout(0.3),
        nn.dense(3, **own),
    )
    task = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    x = jax.random.normal(jax.random.key(1), (22, 4), dtype)
    data = x, jnp.argmax(x[:, :3], 1)

    def run(key, hyper):
        rule = optim.adam(hyper["rate"])
        epoch = train.make_epoch(task, rule, batch_size=8, donate=False)
        state = train.TrainState.create(task, rule, key, data)

        def one(state, _):
            state, record = epoch(state, data)
            return state, record["loss"].compute()

        state, history = jax.lax.scan(one, state, None, length=epochs)
        return {"params": state.params, "state": state.state, "loss": history[-1]}

    return run


@pytest.mark.parametrize(("dtype", "rounding"), [("float64", 1e-13), ("float32", 2e-5)])
def test_each_lane_is_its_single_run_but_for_rounding(dtype: str, rounding: float) -> None:
    with jax.enable_x64(dtype == "float64"):
        run, keys = make_train(dtype), jax.random.split(jax.random.key(0), 3)
        rates = jnp.array([0.01, 0.1])
        many = train.fit_many(run, keys, {"rate": rates})
        single = jax.jit(run)
        for setting in range(2):
            for seed in range(3):
                alone = single(keys[seed], {"rate": rates[setting]})
                assert {leaf.dtype for leaf in jax.tree.leaves(alone)} == {np.dtype(dtype)}
                jax.tree.map(
                    lambda a, b: np.testing.assert_allclose(a, b, rtol=rounding, atol=rounding),
                    many.select(seed, setting),
                    alone,
                )
        assert many.results["loss"].shape == (2, 3)
        np.testing.assert_allclose(many.mean()["loss"], many.results["loss"].mean(1), rtol=1e-6)
        np.testing.assert_allclose(many.std()["loss"], np.asarray(many.results["loss"]).std(1, ddof=1))
        assert len(np.unique(many.results["loss"])) == 6


def test_the_table_has_a_line_for_each_setting() -> None:
    keys = jax.random.split(jax.random.key(0), 4)
    many = train.fit_many(
        lambda key, h: {"a": jax.random.uniform(key) * h["s"], "v": jnp.ones(2)},
        keys,
        {"s": jnp.array([1.0, 2.0])},
    )
    lines = many.table().split("\n")
    assert lines[0] == "| s | seeds | a (mean ± std) |"
    assert len(lines) == 4
    values = np.asarray(many.results["a"], np.float64)
    assert f"{values[1].mean():.6g} ± {values[1].std(ddof=1):.2g}" in lines[3]
    assert "twice" in many.table(twice=lambda r: r["a"] * 2)
    with pytest.raises(ValueError, match="column v must have shape"):
        many.table(v=lambda r: r["v"])


def test_without_hyper_parameters_and_with_shared_ones() -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    many = train.fit_many(lambda key, h: jax.random.normal(key), keys)
    assert many.results.shape == (2,)
    assert float(many.select(1)) == float(jax.random.normal(keys[1]))
    shared = train.fit_many(lambda key, h: jax.random.normal(key) * h[0] + h[1], keys, (2.0, jnp.zeros(3)))
    assert shared.results.shape == (3, 2)
    one = train.fit_many(lambda key, h: jax.random.normal(key), keys[0])
    assert one.results.shape == (1,)
    assert np.isnan(one.std())


def test_a_value_from_outside_is_read_at_each_call() -> None:
    outside = {"scale": 1.0}

    def draw(key, hyper):
        return jax.random.uniform(key) * outside["scale"] * hyper

    keys = jax.random.split(jax.random.key(0), 2)
    first = train.fit_many(draw, keys, 1.0).results
    outside["scale"] = 3.0
    np.testing.assert_allclose(train.fit_many(draw, keys, 1.0).results, 3 * first, rtol=1e-6)


def test_inside_of_a_trace_it_may_close_over_tracers() -> None:
    keys = jax.random.split(jax.random.key(0), 2)

    class Scaled:
        """A function that equals every other of its kind, whatever it closes over."""

        def __init__(self, scale):
            self.scale = scale

        def __eq__(self, other):
            return isinstance(other, Scaled)

        def __hash__(self):
            return 0

        def __call__(self, key, hyper):
            return jax.random.uniform(key) * self.scale

    def total(scale):
        return jnp.sum(train.fit_many(Scaled(scale), keys).results)

    once = jax.jit(total)(1.0)
    np.testing.assert_allclose(jax.jit(lambda scale: total(scale) + 1)(2.0), 2 * once + 1, rtol=1e-6)


def test_data_are_let_go_after_the_call() -> None:
    class Data:
        """Something that a training closes over."""

    data = Data()
    kept = weakref.ref(data)

    def draw(key, hyper, data=data):
        return jax.random.uniform(key)

    train.fit_many(draw, jax.random.key(0))
    del draw, data
    gc.collect()
    assert kept() is None


def test_mistakes() -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    with pytest.raises(TypeError, match="train must be a function"):
        train.fit_many(3, keys)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"typed keys.*jax\.random\.split"):
        train.fit_many(lambda key, h: h, jnp.arange(3))
    with pytest.raises(ValueError, match=r"one size.*'a'.*2.*'b'.*3"):
        train.fit_many(lambda key, h: h, keys, {"a": jnp.zeros(2), "b": jnp.zeros(3)})


def test_select_never_gives_another_training() -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    many = train.fit_many(lambda key, h: h * 1.0, keys, jnp.array([1.0, 2.0]))
    assert float(many.select(0, 1)) == float(many.select(-1, -1)) == 2.0
    with pytest.raises(IndexError, match="seed must be below 2, got 2"):
        many.select(2, 0)
    with pytest.raises(IndexError, match="setting must be below 2, got 5"):
        many.select(0, 5)
    with pytest.raises(ValueError, match="2 settings here"):
        many.select(0)
    with pytest.raises(ValueError, match="no settings here"):
        train.fit_many(lambda key, h: jnp.ones(()), keys).select(0, 1)


def test_keys_among_the_results_and_settings_without_a_column() -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    many = train.fit_many(lambda key, h: {"x": h.sum(), "key": key}, keys, jnp.ones((3, 2)))
    assert many.mean()["key"] is None
    np.testing.assert_array_equal(many.mean()["x"], [2.0, 2.0, 2.0])
    assert many.table().startswith("| setting | seeds | x")


def test_a_list_of_numbers_and_nothing_to_train() -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    with pytest.raises(TypeError, match=r"jnp\.array\(hyper\)"):
        train.fit_many(lambda key, h: h, keys, [0.1, 0.2])
    with pytest.raises(ValueError, match="at least one key"):
        train.fit_many(lambda key, h: jnp.ones(()), keys[:0])
