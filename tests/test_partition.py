"""Training a part: the rest has no gradient, no optimizer state, no share of a norm, and stays in place."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (16, 4))
Y = X[:, :1] * 3
MODEL = nn.chain(trunk=nn.chain(nn.dense(8), nn.batch_norm(), jnp.tanh), head=nn.dense(1))
TASK = train.supervised(MODEL, losses.squared_error)
PARAMS, STATE = TASK.init(KEY, (X, Y))


@pytest.mark.parametrize(
    "predicate",
    [
        "head.*",
        lambda path: path.startswith("head"),
        lambda path, leaf: path.startswith("head") and leaf.size > 0,
    ],
)
def test_merge_gives_back_the_tree_that_was_split(predicate) -> None:
    part = train.partition(PARAMS, predicate)
    assert sorted(part.trained) == ["head"]
    assert sorted(part.frozen) == ["trunk"]
    whole = part.merge()
    assert jax.tree.structure(whole) == jax.tree.structure(PARAMS)
    assert all(a is b for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(PARAMS), strict=True))


def test_leaves_of_one_layer_can_be_parted() -> None:
    part = train.partition(PARAMS, lambda path: path.endswith("bias"))
    assert sorted(part.trained["trunk"]["dense_0"]) == ["bias"]
    assert sorted(part.frozen["trunk"]["dense_0"]) == ["kernel"]
    assert jax.tree.structure(part.merge()) == jax.tree.structure(PARAMS)


def test_only_the_part_is_trained_and_has_optimizer_state() -> None:
    part = train.partition(PARAMS, "head.*")
    result = train.fit(
        part.objective(TASK, STATE), optim.adam(0.1), (X, Y), epochs=5, batch_size=8, key=KEY, progress=False
    )
    whole = part.merge(result.params)
    assert jax.tree.structure(whole) == jax.tree.structure(PARAMS)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(whole["trunk"]), jax.tree.leaves(PARAMS["trunk"]), strict=True)
    )
    assert not np.array_equal(whole["head"]["kernel"], PARAMS["head"]["kernel"])
    shapes = {leaf.shape for leaf in jax.tree.leaves(result.train_state.opt_state)}
    assert shapes <= {(), (8, 1), (1,)}
    assert result.history["loss"][-1] < result.history["loss"][0]


def test_the_rest_has_no_share_of_the_clipping_norm() -> None:
    part = train.partition(PARAMS, "head.*")
    task = part.objective(TASK, STATE)
    rule = optax.chain(optax.clip_by_global_norm(1e-3), optim.sgd(1.0))
    state = train.TrainState.create(task, rule, KEY, (X, Y))
    new, _ = train.make_step(task, rule)(state, (X, Y))
    moved = jax.tree.map(jnp.subtract, new.params, state.params)
    np.testing.assert_allclose(optax.tree_utils.tree_norm(moved), 1e-3, rtol=1e-3)


def test_errors() -> None:
    with pytest.raises(ValueError, match="partition: the predicate chose none"):
        train.partition(PARAMS, "tail.*")
    with pytest.raises(TypeError, match="partition: parameters must be nested dicts, got float32"):
        train.partition(X, "head.*")


@jax.tree_util.register_pytree_node_class
class CallableTree(dict):
    """A tree of bools with a call of its own, as a module of other libraries is."""

    def __call__(self, path):
        raise AssertionError("a tree must not be called")

    def tree_flatten(self):
        return tuple(self.values()), tuple(self)

    @classmethod
    def tree_unflatten(cls, names, values):
        return cls(zip(names, values, strict=True))


@pytest.mark.parametrize("tree", [{"kernel": True, "bias": False}, CallableTree(kernel=True), {}])
def test_a_tree_of_bools_is_no_choice_by_path(tree) -> None:
    params = {"kernel": jnp.ones(2), "bias": jnp.ones(2)}
    with pytest.raises(TypeError, match=r"partition: expected a pattern of paths .* got "):
        train.partition(params, tree)
    with pytest.raises(TypeError, match=r"l2: expected a pattern of paths .* got "):
        losses.l2(0.1, where=tree)
    chosen = train.partition(params, jax.tree_util.Partial(lambda name, path: path == name, "kernel"))
    assert list(chosen.trained) == ["kernel"]
    assert list(train.partition(params, {"kernel"}).trained) == ["kernel"]
