"""Parameters and state that are not those of the layer are refused, leaf by leaf, over the conformance table."""

import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conformance_table import TABLE, Entry

import jaxnn as nn
from jaxnn import surgery
from jaxnn.core import lift, spec_of

KEY = jax.random.key(0)
REFUSED = (ValueError, TypeError)
X = jnp.ones((2, 5))
# A table longer than the sequence is what a model of longer ones has.
FREE = {"positional_embedding": ("embedding: axis 0 of 6",)}


def at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def put(tree: Any, path: tuple[str, ...], leaf: Any) -> Any:
    name, *rest = path
    return {**tree, name: put(tree[name], tuple(rest), leaf) if rest else leaf}


def without(tree: Any, path: tuple[str, ...]) -> Any:
    name, *rest = path
    if rest:
        return {**tree, name: without(tree[name], tuple(rest))}
    return {other: leaf for other, leaf in tree.items() if other != name}


def concrete(leaf: Any) -> Any:
    return jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else np.zeros(leaf.shape, leaf.dtype)


def mutants(tree: Any) -> Iterator[tuple[str, Any]]:
    """The tree with one leaf at a time wider, transposed, missing, beside another, of another rank or kind."""
    for keys, leaf in jax.tree_util.tree_leaves_with_path(tree):
        path = tuple(key.key for key in keys)
        place = ".".join(path)
        for axis, size in enumerate(leaf.shape):
            for other in (size + 1, 1) if size > 1 else (size + 1,):
                shape = (*leaf.shape[:axis], other, *leaf.shape[axis + 1 :])
                yield f"{place}: axis {axis} of {other}", put(tree, path, np.zeros(shape, leaf.dtype))
        if leaf.shape[:-1] and leaf.shape[-1] != leaf.shape[-2]:
            yield f"{place}: transposed", put(tree, path, np.zeros(leaf.shape, leaf.dtype).swapaxes(-1, -2))
        yield f"{place}: rank + 1", put(tree, path, np.zeros((1, *leaf.shape), leaf.dtype))
        yield f"{place}: rank + 1 behind", put(tree, path, np.zeros((*leaf.shape, 1), leaf.dtype))
        if leaf.shape:
            yield f"{place}: rank - 1", put(tree, path, np.zeros(leaf.shape[1:], leaf.dtype))
        yield f"{place}: integers", put(tree, path, np.zeros(leaf.shape, np.int32))
        yield f"{place}: booleans", put(tree, path, np.zeros(leaf.shape, bool))
        yield f"{place}: a number", put(tree, path, 1.0)
        yield f"{place}: text", put(tree, path, "kernel")
        yield f"{place}: nothing", put(tree, path, None)
        yield f"{place}: a spec", put(tree, path, jax.ShapeDtypeStruct(leaf.shape, leaf.dtype))
        yield f"{place}: missing", without(tree, path)
        yield f"{place}: one too many", put(tree, (*path[:-1], "other"), leaf)
    yield "one too many", {**tree, "other": np.zeros(3, np.float32)}
    yield "no dict", [tree]


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_every_leaf_has_the_shape_that_the_layer_declares(entry: Entry) -> None:
    layer = lift(entry.make())
    x = jax.tree.map(concrete, entry.x)
    made = jax.eval_shape(lambda key: layer.init(key, spec_of(entry.x)), KEY)
    trees = dict(zip(("params", "state"), jax.tree.map(concrete, made), strict=True))
    accepted, raw = [], []
    tried = [(which, *mutant) for which, tree in trees.items() for mutant in mutants(tree)]
    # The layers of a large model have rows of their own; of its own mutants some will do.
    for which, mutation, wrong in tried[:: 1 + len(tried) // 100]:
        if mutation in FREE.get(entry.name, ()):
            continue
        given = {**trees, which: wrong}

        def run(x: Any, given: Any = given) -> Any:
            return layer.apply(given["params"], given["state"], x, key=KEY, train=True)[0]

        try:
            jax.eval_shape(run, x)
        except REFUSED as error:
            if not re.search(r"expect.*got|entries for no child", str(error)) or "\n" in str(error):
                raw.append(f"{which}.{mutation}: {error}")
        else:
            accepted.append(f"{which}.{mutation}")
    assert not accepted, accepted
    assert not raw, raw


MISTAKES = {
    "a narrower kernel": (
        lambda: nn.dense(16).apply(nn.dense(8).init(KEY, X)[0], {}, X),
        r"dense: expected kernel \[in, 16\] in params, got float32\[5, 8\]; pass the tree that init returned",
    ),
    "a kernel that is transposed": (
        lambda: nn.dense(3).apply({"kernel": jnp.ones((3, 5)), "bias": jnp.ones(3)}, {}, X),
        r"dense: expected kernel \[in, 3\] in params, got float32\[3, 5\]",
    ),
    "a bias of one number": (
        lambda: nn.dense(3).apply({"kernel": jnp.ones((5, 3)), "bias": jnp.ones(1)}, {}, X),
        r"dense: expected bias \[3\] in params, got float32\[1\]",
    ),
    "scale and bias of two sizes": (
        lambda: nn.layer_norm().apply({"scale": jnp.ones(5), "bias": jnp.ones(1)}, {}, X),
        r"layer_norm: expected bias \[5\] in params, got float32\[1\]",
    ),
    "other copies": (
        lambda: nn.repeat(nn.dense(5), 3).apply(nn.repeat(nn.dense(5), 2).init(KEY, X)[0], {}, X),
        r"repeat: expected params stacked on a leading axis of 3, got float32\[2, 5\]",
    ),
    "a longer table": (
        lambda: nn.positional_embedding(4).apply({"embedding": jnp.ones((9, 5))}, {}, X),
        r"positional_embedding: expected embedding \[4, features\] in params, got float32\[9, 5\]",
    ),
    "parameters of a layer without any": (
        lambda: nn.flatten().apply({"kernel": X}, {}, X),
        r"flatten: expected params with nothing, got 'kernel'",
    ),
    "a cell's carry": (
        lambda: nn.lstm_cell(3).step(nn.lstm_cell(3).init(KEY, X), jnp.ones((2, 3)), X),
        r"lstm_cell: expected a carry \(float32\[2, 3\], float32\[2, 3\]\) for this input, got float32\[2, 3\]",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_message(name: str) -> None:
    call, pattern = MISTAKES[name]
    with pytest.raises(REFUSED, match=pattern):
        call()


def test_the_note_says_where() -> None:
    model = nn.chain(stem=nn.chain(nn.dense(4), nn.dense(3)))
    params, _ = model.init(KEY, X)
    params["stem"]["dense_1"]["kernel"] = jnp.ones((4, 2))
    with pytest.raises(ValueError, match=r"expected kernel \[in, 3\]") as caught:
        jax.jit(model.apply)(params, {}, X)
    assert "in layer: stem.dense_1" in caught.value.__notes__


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.complex64])
def test_parameters_of_any_precision_pass(dtype: Any) -> None:
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), nn.dense(3).init(KEY, X)[0])
    assert nn.dense(3).apply(params, {}, X)[0].shape == (2, 3)


LORA = {
    "no adapters": lambda adapters: {},
    "another layer's": lambda adapters: {"dense_9": adapters["dense_0"]},
    "one too many": lambda adapters: {**adapters, "dense_1": adapters["dense_0"]},
    "half": lambda adapters: {"dense_0": {"lora_a": adapters["dense_0"]["lora_a"]}},
    "another rank": lambda adapters: put(adapters, ("dense_0", "lora_a"), jnp.ones((5, 3))),
    "one column": lambda adapters: put(adapters, ("dense_0", "lora_b"), jnp.ones((2, 1))),
    "stacked": lambda adapters: put(adapters, ("dense_0", "lora_b"), jnp.ones((1, 2, 4))),
    "numbers": lambda adapters: put(adapters, ("dense_0", "lora_b"), 1.0),
}


@pytest.mark.parametrize("name", LORA)
def test_adapters_that_do_not_fit(name: str) -> None:
    adapted = surgery.lora(nn.chain(nn.dense(4), nn.dense(3)), "dense_0", rank=2)
    params, _ = adapted.init(KEY, X)
    wrong = {**params, "adapters": LORA[name](params["adapters"])}
    with pytest.raises(REFUSED, match=r"lora: expected .*, got"):
        adapted.apply(wrong, {}, X)
