"""L1 and L2 penalties by path: values, gradients, in training, and their messages."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train

MODEL = nn.chain(stem=nn.chain(nn.dense(3), jnp.tanh), body=nn.repeat(nn.dense(3), 2), head=nn.dense(1))
X = jax.random.normal(jax.random.key(1), (8, 2))
PARAMS, _ = MODEL.init(jax.random.key(0), X)
PARAMS["head"]["kernel"] = jnp.array([[0.0], [-2.0], [0.5]])
CHOSEN = {
    "*": lambda path: True,
    "*.kernel": lambda path: path[-1] == "kernel",
    "head.*": lambda path: path[0] == "head",
    ("head.bias", "stem.*"): lambda path: path[0] == "stem" or path == ("head", "bias"),
}


@pytest.mark.parametrize("where", CHOSEN)
@pytest.mark.parametrize(
    ("penalty", "cost", "slope"), [(losses.l1, np.abs, np.sign), (losses.l2, np.square, lambda w: 2 * w)]
)
def test_value_and_gradient(penalty: Any, cost: Any, slope: Any, where: Any) -> None:
    value, gradient = jax.jit(jax.value_and_grad(penalty(0.3, where)))(PARAMS)
    total = 0.0
    for (path, w), g in zip(
        jax.tree_util.tree_leaves_with_path(PARAMS), jax.tree.leaves(gradient), strict=True
    ):
        on = CHOSEN[where](tuple(key.key for key in path))
        total += 0.3 * cost(np.asarray(w)).sum() * on
        np.testing.assert_allclose(g, 0.3 * slope(np.asarray(w)) * on, rtol=1e-6)
    np.testing.assert_allclose(value, total, rtol=1e-6)


def test_functions_of_path_and_leaf_choose_too() -> None:
    by_path = losses.l2(1.0, lambda path: path.endswith("bias"))(PARAMS)
    by_leaf = losses.l2(1.0, lambda path, leaf: leaf.ndim == 1 or path == "body.bias")(PARAMS)
    assert by_path == by_leaf == losses.l2(1.0, "*.bias")(PARAMS)


def test_a_penalty_is_a_part_of_the_loss_that_is_minimised() -> None:
    """One step of descent moves by the gradient of the loss and by that of the penalty; rates may be traced."""
    batch = X, jnp.ones((8, 1))

    def step(penalty: Any) -> tuple[Any, Any]:
        task = train.supervised(MODEL, losses.squared_error, penalty=penalty)
        state = train.TrainState.create(task, optim.sgd(1.0), jax.random.key(0), batch)
        after, record = train.make_step(task, optim.sgd(1.0))(state, batch)
        return jax.tree.map(jnp.subtract, after.params, state.params), record["loss"].compute()

    plain, loss = step(None)
    both, total = step(lambda p: losses.l1(0.1)(p) + losses.l2(0.2, "*kernel")(p))
    created = train.TrainState.create(
        train.supervised(MODEL, losses.squared_error), optim.sgd(1.0), jax.random.key(0), batch
    ).params
    expected = jax.tree_util.tree_map_with_path(
        lambda path, d, w: d - 0.1 * jnp.sign(w) - (0.4 * w if path[-1].key == "kernel" else 0),
        plain,
        created,
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), both, expected)
    np.testing.assert_allclose(
        total - loss, losses.l1(0.1)(created) + losses.l2(0.2, "*kernel")(created), rtol=1e-4
    )
    many = jax.vmap(lambda rate: losses.l2(rate)(PARAMS))(jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(many, [losses.l2(0.1)(PARAMS), losses.l2(0.2)(PARAMS)], rtol=1e-6)


def test_half_precision_is_summed_in_float32() -> None:
    params = {"kernel": jnp.ones(4096, jnp.bfloat16)}  # a bfloat16 sum of ones stops at 256
    assert losses.l2(1.0)(params) == 4096
    assert losses.l2(1.0)(params).dtype == jnp.float32
    assert jax.grad(losses.l1(1.0))(params)["kernel"].dtype == jnp.bfloat16


ERRORS = {
    r"l2: where='\*\.kernel' chose none .* which are kernel, bias; .*begin it with '\*'": lambda: losses.l2(
        1.0, "*.kernel"
    )({"kernel": jnp.ones(2), "bias": jnp.ones(2)}),
    r"l1: rate must be a finite non-negative number, got -1": lambda: losses.l1(-1),
    r"l1: expected a pattern of paths .*got \[int 3\]": lambda: losses.l1(1.0, [3]),
    r"l2: parameters must be nested dicts, got float32\[2\]": lambda: losses.l2(1.0)(jnp.ones(2)),
}


@pytest.mark.parametrize("pattern", ERRORS)
def test_message(pattern: str) -> None:
    with pytest.raises((TypeError, ValueError), match=pattern):
        ERRORS[pattern]()
