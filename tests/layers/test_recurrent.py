"""Recurrent layers: laws over drawn masks, the loop against its steps, streams cut in two, errors."""

from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from parity import assert_close, draw, value_and_gradients

import jaxnn as nn
from jaxnn.core import fold_index

BATCH, TIME, INPUTS, FEATURES = 3, 5, 2, 3
KEY = jax.random.key(0)
SPEC = jax.ShapeDtypeStruct((BATCH, TIME, INPUTS), jnp.float64)
CELLS = {
    "simple_rnn": lambda **options: nn.simple_rnn_cell(FEATURES, param_dtype=jnp.float64, **options),
    "lstm": lambda **options: nn.lstm_cell(FEATURES, param_dtype=jnp.float64, **options),
    "gru": lambda **options: nn.gru_cell(FEATURES, param_dtype=jnp.float64, **options),
    "gru original": lambda **options: nn.gru_cell(
        FEATURES, form="original", param_dtype=jnp.float64, **options
    ),
}
masks = st.lists(st.booleans(), min_size=BATCH * TIME, max_size=BATCH * TIME).map(
    lambda bits: np.array(bits).reshape(BATCH, TIME)
)
few = hypothesis.settings(max_examples=12)


def leaky_cell() -> nn.Cell:
    """A user's own: its output is not its carry, and it has no ``scan``."""

    def init(key: Any, x: Any) -> Any:
        return {"decay": jnp.full(x.shape[-1:], 0.5, jnp.float64)}

    def init_carry(params: Any, x: Any) -> Any:
        return {"sum": jnp.zeros(x.shape, jnp.float64)}

    def step(params: Any, carry: Any, x: Any, *, key: Any = None, train: bool = False) -> Any:
        total = carry["sum"] * jnp.broadcast_to(params["decay"], x.shape) + jnp.sin(x)
        noise = jax.random.normal(key, x.shape, jnp.float64) if train else jnp.zeros_like(x)
        return {"sum": total}, total**2 + noise

    return nn.Cell("leaky", init, init_carry, step)


def randomised(tree: Any) -> Any:
    """Other numbers in the same structure, so that no bias is zero."""
    leaves, structure = jax.tree.flatten(tree)
    return structure.unflatten([0.7 * draw(*leaf.shape, seed=i) for i, leaf in enumerate(leaves)])


def stepped(cell: nn.Cell, params: Any, x: Any, mask: Any, reverse: bool) -> tuple[Any, Any]:
    """The definition, in Python: the carry stays at padding, and the output repeats."""
    carry = cell.init_carry(params, x[:, 0])
    y = jax.tree.map(jnp.zeros_like, cell.step(params, carry, x[:, 0])[1])
    outputs = [y] * TIME
    for t in reversed(range(TIME)) if reverse else range(TIME):
        real = mask[:, t, None]
        new, out = cell.step(params, carry, jnp.where(real, x[:, t], 0.0))
        carry = jax.tree.map(lambda n, o, real=real: jnp.where(real, n, o), new, carry)
        y = outputs[t] = jnp.where(real, out, y)
    return jnp.stack(outputs, 1), carry


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", [*CELLS, "own cell"])
def test_scan_equals_the_unrolled_loop_in_value_and_gradient(name: str, reverse: bool) -> None:
    with jax.enable_x64(True):
        cell = leaky_cell() if name == "own cell" else CELLS[name]()
        layer = nn.rnn(cell, reverse=reverse, return_carry=True)
        params = randomised(layer.init(KEY, SPEC)[0])
        x = draw(BATCH, TIME, INPUTS)

        @jax.jit
        def both(params: Any, x: Any, mask: Any) -> Any:
            def scanned(params: Any, x: Any) -> Any:
                (y, carry), _ = layer.apply(params, {}, nn.Masked(x, mask))
                return y.value, carry

            def looped(params: Any, x: Any) -> Any:
                return stepped(cell, params, x, mask, reverse)

            found = []
            for function in (scanned, looped):
                y, pull = jax.vjp(function, params, x)
                found.append((y, pull(jax.tree.map(jnp.cos, y))))
            return found

        @few
        @hypothesis.given(masks)
        @hypothesis.example(np.ones((BATCH, TIME), bool))
        @hypothesis.example(np.zeros((BATCH, TIME), bool))
        def law(mask: Any) -> None:
            left, right = both(params, x, mask)
            assert_close(left, right, 1e-12)

        law()


@pytest.mark.parametrize("name", ["gru", "own cell", "bidirectional", "stack"])
def test_padding_reaches_neither_output_nor_gradient(name: str) -> None:
    with jax.enable_x64(True):
        layers = {
            "gru": lambda: nn.rnn(CELLS["gru"](), return_sequences=False),
            "own cell": lambda: nn.rnn(leaky_cell(), reverse=True),
            "bidirectional": lambda: nn.bidirectional(nn.rnn(CELLS["lstm"]()), nn.rnn(CELLS["gru"]())),
            "stack": lambda: nn.rnn(nn.stacked_cell(CELLS["lstm"](), CELLS["simple_rnn"]())),
        }
        layer = layers[name]()
        params = randomised(layer.init(KEY, SPEC)[0])
        x = draw(BATCH, TIME, INPUTS)

        @jax.jit
        def run(x: Any, mask: Any) -> Any:
            def function(params: Any, x: Any) -> Any:
                y, _ = layer.apply(params, {}, nn.Masked(x, mask))
                return jnp.where(mask[..., None], y.value, 0.0) if isinstance(y, nn.Masked) else y

            y, pull = jax.vjp(function, params, x)
            return y, pull(jnp.cos(y))

        @few
        @hypothesis.given(masks, st.sampled_from([np.nan, np.inf, 1e300]))
        def law(mask: Any, rubbish: float) -> None:
            clean, dirty = run(x, mask), run(np.where(mask[..., None], x, rubbish), mask)
            for a, b in zip(jax.tree.leaves(clean), jax.tree.leaves(dirty), strict=True):
                assert np.array_equal(a, b)
                assert np.isfinite(a).all()
            assert not np.any(np.asarray(clean[1][1])[~mask])

        law()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru original", "own cell"])
def test_the_last_output_is_the_last_real_one_and_reverse_is_within_the_length(
    name: str, reverse: bool
) -> None:
    with jax.enable_x64(True):
        cell = leaky_cell() if name == "own cell" else CELLS[name]()
        layer = nn.rnn(cell, reverse=reverse, return_sequences=False)
        params = randomised(layer.init(KEY, SPEC)[0])
        x = draw(1, TIME, INPUTS)
        padded, whole = (
            jax.jit(lambda x, m: layer.apply(params, {}, nn.Masked(x, m))[0]),
            jax.jit(lambda x: layer.apply(params, {}, x)[0]),
        )
        for kept in ([0, 1, 2], [0, 2, 4], [2, 3, 4]):
            mask = np.isin(np.arange(TIME), kept)[None]
            assert_close(padded(x, mask), whole(x[:, kept]), 1e-13)


@pytest.mark.parametrize("name", [*CELLS, "own cell", "stack"])
def test_a_stream_in_two_parts_equals_the_whole(name: str) -> None:
    with jax.enable_x64(True):
        cells = {"own cell": leaky_cell, "stack": lambda: nn.stacked_cell(CELLS["lstm"](), leaky_cell())}
        layer = nn.rnn(cells.get(name, CELLS.get(name))(), return_carry=True)
        params = randomised(layer.init(KEY, SPEC)[0])
        x = draw(BATCH, TIME, INPUTS)

        def whole(x: Any) -> Any:
            return layer.apply(params, {}, x)[0]

        def parts(x: Any) -> Any:
            (first, carry), _ = layer.apply(params, {}, (x[:, :2], None))
            (rest, carry), _ = layer.apply(params, {}, (x[:, 2:], carry))
            return jnp.concatenate([first, rest], 1), carry

        assert_close(jax.jit(parts)(x), jax.jit(whole)(x), 1e-13)


def test_a_stacked_cell_equals_a_chain_of_layers() -> None:
    with jax.enable_x64(True):
        cells = CELLS["gru"](), CELLS["lstm"]()
        stack = nn.rnn(nn.stacked_cell(*cells))
        chain = nn.chain(*(nn.rnn(cell) for cell in cells))
        params = randomised(stack.init(KEY, SPEC)[0])
        renamed = dict(zip(("rnn_0", "rnn_1"), params.values(), strict=True))
        assert list(params) == ["gru_cell_0", "lstm_cell_0"]
        x = draw(BATCH, TIME, INPUTS)
        y = jax.jit(lambda x: stack.apply(params, {}, x)[0])(x)
        assert_close(y, jax.jit(lambda x: chain.apply(renamed, {}, x)[0])(x), 1e-13)


def test_a_learned_carry_begins_the_sequence_and_has_a_gradient() -> None:
    layer = nn.lstm(FEATURES, learn_carry=True, return_carry=True)
    plain = nn.lstm(FEATURES)
    params = layer.init(KEY, jnp.ones((1, 2, INPUTS)))[0]
    params |= {"initial_hidden": jnp.arange(3.0), "initial_cell": -jnp.arange(3.0)}
    x = jnp.asarray(draw(BATCH, TIME, INPUTS), jnp.float32)
    rest = {name: params[name] for name in ("input_kernel", "recurrent_kernel", "bias")}
    given = tuple(jnp.broadcast_to(params[n], (BATCH, 3)) for n in ("initial_hidden", "initial_cell"))
    (y, _), _ = layer.apply(params, {}, x)
    assert_close(y, plain.apply(rest, {}, (x, given))[0], 1e-6)
    gradient = jax.grad(lambda p: jnp.sum(layer.apply(p, {}, x)[0][0] ** 2))(params)
    assert all(jnp.all(gradient[n] != 0) for n in ("initial_hidden", "initial_cell"))


def test_recurrent_dropout_holds_one_mask_for_a_sequence() -> None:
    rate, width = 0.5, 64
    cell = nn.simple_rnn_cell(width, recurrent_dropout=rate, activation=lambda x: x)
    layer = nn.rnn(cell)
    eye = {
        "input_kernel": jnp.zeros((1, width)),
        "recurrent_kernel": jnp.eye(width),
        "bias": jnp.zeros(width),
    }
    x, carry = jnp.zeros((2, 4, 1)), jnp.ones((2, width))
    y = layer.apply(eye, {}, (x, carry), key=KEY, train=True)[0]
    kept = np.asarray(y[:, 0]) > 0
    expected = np.where(kept[:, None], 2.0 ** np.arange(1, 5)[None, :, None], 0)
    np.testing.assert_array_equal(y, np.broadcast_to(expected, y.shape))
    assert 0.3 < kept.mean() < 0.7
    assert (kept[0] != kept[1]).any()
    np.testing.assert_array_equal(layer.apply(eye, {}, (x, carry))[0], jnp.ones((2, 4, width)))


def test_scan_with_a_key_equals_steps_with_that_key() -> None:
    cell = nn.gru_cell(FEATURES, recurrent_dropout=0.4)
    x = jnp.asarray(draw(BATCH, 3, INPUTS), jnp.float32)
    params = cell.init(KEY, x[:, 0])
    carry = start = cell.init_carry(params, x[:, 0])
    outputs = []
    for t in range(3):
        carry, y = cell.step(params, carry, x[:, t], key=KEY, train=True)
        outputs.append(y)
    ys = cell.scan(params, start, x, key=KEY, train=True)[1]
    assert_close(ys, jnp.stack(outputs, 1), 1e-6)


def test_a_cell_without_scan_gets_a_key_for_each_step() -> None:
    with jax.enable_x64(True):
        cell = leaky_cell()
        layer = nn.rnn(cell)
        params = layer.init(KEY, SPEC)[0]
        x = jnp.zeros((BATCH, TIME, INPUTS))
        y = layer.apply(params, {}, x, key=KEY, train=True)[0]
        noise = [jax.random.normal(fold_index(KEY, t), (BATCH, INPUTS), jnp.float64) for t in range(TIME)]
        assert_close(y, jnp.stack(noise, 1), 1e-13)


def test_bidirectional_is_both_directions() -> None:
    with jax.enable_x64(True):
        ahead, behind = nn.rnn(CELLS["gru"]()), nn.rnn(CELLS["gru"](), reverse=True)
        layer = nn.bidirectional(ahead, merge=None)
        params = randomised(layer.init(KEY, SPEC)[0])
        x = nn.Masked(
            draw(BATCH, TIME, INPUTS), np.array([[1, 1, 1, 1, 1], [1, 1, 0, 1, 0], [1, 0, 0, 0, 0]], bool)
        )
        left, right = jax.jit(lambda x: layer.apply(params, {}, x)[0])(x)
        assert_close(left, jax.jit(lambda x: ahead.apply(params["forward"], {}, x)[0])(x), 1e-13)
        assert_close(right, jax.jit(lambda x: behind.apply(params["backward"], {}, x)[0])(x), 1e-13)


@pytest.mark.parametrize(("merge", "size"), [("concatenate", 6), ("add", 3), ("multiply", 3), ("average", 3)])
def test_merges(merge: str, size: int) -> None:
    layer = nn.bidirectional(nn.gru(3, return_sequences=False, return_carry=True), merge=merge)
    params, _ = layer.init(KEY, jnp.ones((2, 4, 1)))
    (y, carry), _ = layer.apply(params, {}, jnp.ones((2, 4, 1)))
    left, right = carry
    expected = {
        "concatenate": jnp.concatenate([left, right], -1),
        "add": left + right,
        "multiply": left * right,
        "average": (left + right) / 2,
    }
    assert y.shape == (2, size)
    assert_close(y, expected[merge], 1e-6)
    (again, _), _ = layer.apply(params, {}, (jnp.ones((2, 4, 1)), carry))
    assert not jnp.allclose(again, y)


def test_initial_parameters() -> None:
    params, _ = nn.lstm(64).init(KEY, jnp.ones((1, 2, 100)))
    bias = params["bias"].reshape(4, 64)
    np.testing.assert_array_equal(bias[1], 1.0)
    np.testing.assert_array_equal(bias[jnp.array([0, 2, 3])], 0.0)
    assert abs(float(params["input_kernel"].var()) * 100 - 1) < 0.05
    for block in jnp.split(params["recurrent_kernel"], 4, -1):
        np.testing.assert_allclose(block @ block.T, np.eye(64), atol=1e-5)
    low, _ = nn.gru(8, param_dtype=jnp.bfloat16).init(KEY, jnp.ones((1, 2, 3), jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(low)} == {jnp.dtype(jnp.bfloat16)}


X = jnp.ones((2, 3, 4))


def applied(layer: nn.Layer, x: Any, **options: Any) -> Any:
    return layer.apply(*layer.init(KEY, X), x, **options)


ERRORS = {
    "features": (lambda: nn.lstm(0), r"lstm_cell: features must be a positive int, got 0"),
    "unknown option": (lambda: nn.lstm(4, dropout=0.1), r"lstm_cell\(\) got an unexpected keyword"),
    "form": (
        lambda: nn.gru(4, form="reset_befor"),
        r"gru_cell: form must be one of 'reset_after', 'original'",
    ),
    "rate": (lambda: nn.gru(4, recurrent_dropout=1.0), r"gru_cell: recurrent_dropout .* \[0, 1\), got 1\.0"),
    "activation": (
        lambda: nn.simple_rnn(4, activation="relu"),
        r"simple_rnn_cell: activation must be a function",
    ),
    "param_dtype": (lambda: nn.lstm(4, param_dtype=jnp.int32), r"lstm_cell: param_dtype must be a floating"),
    "forget_bias": (lambda: nn.lstm(4, forget_bias="one"), r"lstm_cell: forget_bias must be a number"),
    "formulation": (
        lambda: applied(nn.lstm(4, formulation="cudnn"), X),
        r"lstm: unknown formulation 'cudnn'",
    ),
    "reverse": (lambda: nn.gru(4, reverse=1), r"gru: reverse must be a bool, got int 1"),
    "a layer": (
        lambda: nn.rnn(nn.lstm(4)),
        r"rnn: cell must be a Cell, got the layer 'lstm'; pass one, as nn\.lstm_cell",
    ),
    "no cell": (lambda: nn.rnn(jnp.tanh), r"rnn: cell must be a Cell, got .*; pass one, as nn\.lstm_cell"),
    "cell in chain": (lambda: nn.chain(nn.lstm_cell(4)), r"got the cell 'lstm_cell'; .*nn\.rnn\(cell\)"),
    "stack of nothing": (lambda: nn.stacked_cell(), r"stacked_cell: expected at least one cell"),
    "stack of layers": (lambda: nn.stacked_cell(nn.gru(3)), r"stacked_cell: argument 0 must be a Cell"),
    "rank": (
        lambda: nn.gru(4).init(KEY, jnp.ones((3, 4))),
        r"gru: expected input \[batch, time, features\], got",
    ),
    "no steps": (lambda: nn.gru(4).init(KEY, jnp.ones((3, 0, 4))), r"gru: expected at least one step"),
    "integers": (
        lambda: applied(nn.gru(4), jnp.ones((2, 3, 4), int)),
        r"gru_cell: expected a floating-point input",
    ),
    "inputs": (
        lambda: applied(nn.lstm(4), jnp.ones((2, 3, 5))),
        r"lstm_cell: expected input \[\.\.\., 4\], got float32",
    ),
    "mask": (
        lambda: applied(nn.lstm(4), nn.Masked(X, jnp.ones((2,), bool))),
        r"lstm: expected a mask \[batch, time\] for each step of float32\[2, 3, 4\], got bool\[2\]",
    ),
    "carry": (
        lambda: applied(nn.lstm(4), (X, jnp.ones((2, 4)))),
        r"lstm: expected a carry \(float32\[2, 4\], float32\[2, 4\]\) .*, got float32\[2, 4\]; pass None",
    ),
    "tuple": (
        lambda: applied(nn.lstm(4), (X, None, X)),
        r"lstm: expected x or \(x, carry\), got a tuple of 3",
    ),
    "no key": (
        lambda: applied(nn.gru(4, recurrent_dropout=0.1), X, train=True),
        r"gru_cell: needs a random key",
    ),
    "foreign params": (
        lambda: nn.gru(4).apply({"kernel": X}, {}, X),
        r"gru_cell: expected params with 'input_kernel'",
    ),
    "merge": (
        lambda: nn.bidirectional(nn.gru(4), merge="concat"),
        r"bidirectional: merge .* did you mean 'concatenate'",
    ),
    "turned twice": (
        lambda: nn.bidirectional(nn.gru(4), nn.gru(4, reverse=True)),
        r"bidirectional: backward is made with reverse=True, .* leave reverse out",
    ),
    "merge of unlike": (
        lambda: nn.bidirectional(nn.gru(4), nn.gru(3), merge="add").init(KEY, X),
        r"bidirectional: merge='add' can't join float32\[2, 3, 4\] and float32\[2, 3, 3\]",
    ),
    "bidirectional rank": (
        lambda: nn.bidirectional(nn.gru(4)).init(KEY, jnp.ones((2, 3))),
        r"bidirectional: expected input \[batch, time, features\]",
    ),
    "bidirectional carry": (
        lambda: applied(nn.bidirectional(nn.gru(4)), (X, X)),
        r"bidirectional: expected x or \(x, \(carry forward, carry backward\)\)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_message(name: str) -> None:
    call, pattern = ERRORS[name]
    with pytest.raises((ValueError, TypeError), match=pattern):
        call()


def test_a_carry_that_cannot_stay_at_padding_raises() -> None:
    counter = nn.Cell(
        "counter", lambda key, x: {}, lambda params, x: jnp.zeros(()), lambda params, c, x, **_: (c + 1, x)
    )
    layer = nn.rnn(counter)
    assert layer.apply({}, {}, X)[0].shape == X.shape
    with pytest.raises(ValueError, match=r"counter: a masked sequence needs a carry for each row"):
        layer.apply({}, {}, nn.Masked(X, jnp.ones((2, 3), bool)))


def test_a_carry_that_changes_its_spec_raises() -> None:
    grower = nn.Cell(
        "grower", lambda key, x: {}, lambda params, x: x, lambda params, c, x, **_: (jnp.append(c, x), x)
    )
    with pytest.raises(
        ValueError, match=r"grower: step must keep the spec of its carry, got float32\[2, 4\] in"
    ):
        nn.rnn(grower).apply({}, {}, X)


def test_rnn_of_a_decoding_cell_takes_tokens() -> None:
    model = nn.chain(nn.embedding(7, 4), nn.transformer_block(2, causal=True), nn.dense(7))
    layer = nn.rnn(nn.decoding_cell(model, 6))
    tokens = jnp.array([[3, 1, 4, 1, 5, 2]])
    params, state = layer.init(KEY, tokens)
    assert_close(layer.apply(params, state, tokens)[0], model.apply(params, {}, tokens)[0], 1e-5)


def test_value_and_gradients_are_those_of_the_core_with_lax() -> None:
    x = jnp.asarray(draw(BATCH, TIME, INPUTS), jnp.float32)
    fast, plain = nn.lstm(FEATURES), nn.lstm(FEATURES, formulation="lax")
    params, _ = fast.init(KEY, x)
    results = [
        value_and_gradients(lambda p, x, layer=layer: layer.apply(p, {}, x)[0], params, x)
        for layer in (fast, plain)
    ]
    assert_close(*results, 1e-5)
