"""State dicts without PyTorch: what a map can say, beside plain NumPy, and what is named when it does not fit."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnn as nn
from jaxnn import interop

SHAPE = (3, 2, 4)  # channels, height, width
COUNT = 24


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def flat_images() -> tuple[np.ndarray, np.ndarray]:
    """Return images channels last, as ours are, and the rows that PyTorch's ``Flatten`` makes of them."""
    x = draw(5, 2, 4, 3)
    return x, x.transpose(0, 3, 1, 2).reshape(5, COUNT)


def affine(seed: int) -> dict[str, np.ndarray]:
    return {"weight": draw(COUNT, seed=seed), "bias": draw(COUNT, seed=seed + 1)}


def normalised(rows: np.ndarray, how: str) -> np.ndarray:
    mean = rows.mean(-1, keepdims=True) if how == "layer_norm" else 0.0
    return (rows - mean) / np.sqrt(((rows - mean) ** 2).mean(-1, keepdims=True) + 1e-5)


NORMS = {
    "batch_norm": (
        lambda: nn.batch_norm(),
        {**affine(1), "running_mean": draw(COUNT, seed=3), "running_var": np.abs(draw(COUNT, seed=4)) + 0.5},
        lambda rows, w: (
            (rows - w["running_mean"]) / np.sqrt(w["running_var"] + 1e-5) * w["weight"] + w["bias"]
        ),
    ),
    "layer_norm": (
        lambda: nn.layer_norm(epsilon=1e-5),
        affine(1),
        lambda rows, w: normalised(rows, "layer_norm") * w["weight"] + w["bias"],
    ),
    "rms_norm": (
        lambda: nn.rms_norm(epsilon=1e-5),
        {"weight": draw(COUNT, seed=1)},
        lambda rows, w: normalised(rows, "rms_norm") * w["weight"],
    ),
    "prelu": (
        lambda: nn.prelu(shared=False),
        {"weight": draw(COUNT, seed=1)},
        lambda rows, w: np.where(rows > 0, rows, rows * w["weight"]),
    ),
}


@pytest.mark.parametrize("kind", NORMS)
def test_what_stands_behind_a_flatten_follows_its_order(kind):
    make, weights, theirs = NORMS[kind]
    x, rows = flat_images()
    linear = {"weight": draw(2, COUNT, seed=7), "bias": draw(2, seed=8)}
    model = nn.chain(nn.flatten(), make(), nn.dense(2))
    flat = {f"1.{name}": value for name, value in weights.items()}
    flat |= {f"2.{name}": value for name, value in linear.items()}
    names = {f"{kind}_0": interop.AfterFlatten("1", SHAPE), "dense_0": interop.AfterFlatten("2", SHAPE)}
    params, state = interop.from_torch(flat, model, x, names)
    expected = theirs(rows, weights) @ linear["weight"].T + linear["bias"]
    np.testing.assert_allclose(model.apply(params, state, x)[0], expected, rtol=1e-4, atol=1e-4)
    plain = interop.from_torch(flat, model, x, {f"{kind}_0": "1", "dense_0": names["dense_0"]})
    assert np.abs(model.apply(*plain, x)[0] - expected).max() > 1e-2


def test_one_slope_for_all_features_has_no_order():
    weights = {"weight": np.full(1, 0.3, np.float32)}
    model = nn.chain(nn.flatten(), nn.prelu(shared=True))
    names = {"prelu_0": interop.AfterFlatten("", SHAPE)}
    params, _ = interop.from_torch(weights, model, draw(5, 2, 4, 3), names)
    assert params["prelu_0"]["negative_slope"].shape == ()


def test_a_recurrent_layer_reads_flattened_images():
    """Against the same weights on inputs whose features are put in PyTorch's order beforehand."""
    x = draw(2, 4, 2, 4, 3)
    rows = x.transpose(0, 1, 4, 2, 3).reshape(2, 4, COUNT)
    weights = {
        "weight_ih_l0": draw(15, COUNT),
        "weight_hh_l0": draw(15, 5),
        "bias_ih_l0": draw(15),
        "bias_hh_l0": draw(15, seed=1),
    }
    ours = nn.chain(nn.reshape(4, COUNT), nn.rnn(nn.gru_cell(5)))
    found = interop.from_torch(weights, ours, x, {"rnn_0": interop.AfterFlatten("*_l0", SHAPE)})
    plain = interop.from_torch(weights, nn.gru(5), rows, {"": "*_l0"})
    expected = nn.gru(5).apply(*plain, rows)[0]
    np.testing.assert_allclose(ours.apply(*found, x)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (lambda: nn.group_norm(2), "group_norm"),
        (lambda: nn.instance_norm(), "instance_norm"),
        (lambda: nn.conv(2, (3,)), "conv"),
        (lambda: nn.conv_transpose(2, (3,)), "conv_transpose"),
        (lambda: nn.attention(2), "attention"),
        (lambda: nn.positional_embedding(), "positional_embedding"),
    ],
)
def test_after_flatten_is_refused_where_it_tells_nothing(layer, kind):
    model = nn.chain(layer())
    names = {f"{kind}_0": interop.AfterFlatten("x", SHAPE)}
    with pytest.raises(
        ValueError, match=f"{kind}_0: AfterFlatten tells nothing about a layer of kind '{kind}'"
    ):
        interop.from_torch({"x.weight": np.ones(2)}, model, jnp.ones((2, 5, 4)), names)


def test_mistakes_in_a_map_are_named():
    weights, model, x = (
        {"fc.weight": draw(2, COUNT), "fc.bias": draw(2)},
        nn.chain(nn.dense(2)),
        draw(1, COUNT),
    )

    def carry(names, **more):
        return interop.from_torch(weights, model, x, names, **more)

    with pytest.raises(
        ValueError, match=r"dense_0\.kernel: .*AfterFlatten says \(5, 2, 2\), 20 features, and"
    ):
        carry({"dense_0": interop.AfterFlatten("fc", (5, 2, 2))})
    for shape in (24, (3, 2, -4), ("3", 8)):
        with pytest.raises(TypeError, match=r"dense_0: AfterFlatten needs the shape \(channels, \*space\)"):
            carry({"dense_0": interop.AfterFlatten("fc", shape)})
    with pytest.raises(TypeError, match=r"dense_0\.kernel: AfterFlatten is for a whole layer; map the layer"):
        carry({"dense_0.kernel": interop.AfterFlatten("fc", SHAPE)})
    with pytest.raises(TypeError, match=r"dense_0: a Tensor is for one leaf; map 'dense_0\.\w+' to it"):
        carry({"dense_0": interop.Tensor("fc.weight")})
    with pytest.raises(TypeError, match=r"names\['dense_0'\] must be text or AfterFlatten or Tensor, got 3"):
        carry({"dense_0": 3})
    with pytest.raises(TypeError, match=r"names\['dense_0'\] must be text or .*, got Tensor\(name=3"):
        carry({"dense_0": interop.Tensor(3)})  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="names must be a dict from our paths to names, got"):
        carry([("dense_0", "fc")])
    with pytest.raises(TypeError, match=r"ignore must be a tuple of patterns, got '\*tracked'"):
        carry({"dense_0": "fc"}, ignore="*tracked")
    with pytest.raises(TypeError, match=r"strict must be a bool, got int 0"):
        carry({"dense_0": "fc"}, strict=0)
    with pytest.raises(ValueError, match=r"initial and report are for strict=False"):
        carry({"dense_0": "fc"}, initial=jax.random.key(0))


def lstm_weights(
    width: int, features: int, suffix: str, gates: int = 4, seed: int = 0
) -> dict[str, np.ndarray]:
    return {
        f"weight_ih{suffix}": draw(gates * features, width, seed=seed),
        f"weight_hh{suffix}": draw(gates * features, features, seed=seed + 1),
        f"bias_ih{suffix}": draw(gates * features, seed=seed + 2),
        f"bias_hh{suffix}": draw(gates * features, seed=seed + 3),
    }


CELLS = {
    "lstm": (nn.lstm_cell, nn.lstm, 4),
    "gru": (nn.gru_cell, nn.gru, 3),
    "simple_rnn": (nn.simple_rnn_cell, nn.simple_rnn, 1),
}


@pytest.mark.parametrize("kind", CELLS)
def test_a_scanned_cell_has_the_weights_of_its_layer(kind):
    cell, layer, gates = CELLS[kind]
    x, weights = jnp.ones((2, 5, 3)), lstm_weights(3, 4, "_l0", gates)
    found = interop.from_torch(weights, nn.chain(nn.rnn(cell(4))), x, {"rnn_0": "*_l0"})[0]["rnn_0"]
    expected = interop.from_torch(weights, layer(4), x, {"": "*_l0"})[0]
    assert found.keys() == expected.keys()
    for leaf in expected:
        np.testing.assert_array_equal(found[leaf], expected[leaf])


def test_stacked_cells_and_both_directions():
    x = jnp.ones((2, 5, 3))
    stack = {**lstm_weights(3, 4, "_l0"), **lstm_weights(4, 4, "_l1", seed=9)}
    model = nn.chain(nn.rnn(nn.stacked_cell(nn.lstm_cell(4), nn.lstm_cell(4))))
    found = interop.from_torch(stack, model, x, {"rnn_0.lstm_cell_{i}": "*_l{i}"})
    chain = nn.chain(nn.lstm(4), nn.lstm(4))
    expected = interop.from_torch(stack, chain, x, {"lstm_{i}": "*_l{i}"})
    y = draw(2, 5, 3)
    np.testing.assert_allclose(model.apply(*found, y)[0], chain.apply(*expected, y)[0], rtol=1e-6)

    # Cells of several kinds, one of them a stack itself, from a list of PyTorch's cells.
    mixed = nn.rnn(nn.stacked_cell(nn.gru_cell(4), nn.stacked_cell(nn.simple_rnn_cell(5), nn.lstm_cell(2))))
    weights = lstm_weights(3, 4, "", 3) | {}
    cells = {f"cells.0.{name}": value for name, value in weights.items()}
    cells |= {f"cells.1.{name}": value for name, value in lstm_weights(4, 5, "", 1).items()}
    cells |= {f"cells.2.{name}": value for name, value in lstm_weights(5, 2, "").items()}
    names = {
        "gru_cell_0": "cells.0",
        "stacked_cell_0.simple_rnn_cell_0": "cells.1",
        "stacked_cell_0.lstm_cell_0": "cells.2",
    }
    params, _ = interop.from_torch(cells, mixed, x, names)
    np.testing.assert_array_equal(
        params["stacked_cell_0"]["lstm_cell_0"]["input_kernel"], cells["cells.2.weight_ih"].T
    )
    assert jax.tree.structure(params) == jax.tree.structure(mixed.init(jax.random.key(0), x)[0])

    both = {**lstm_weights(3, 4, "_l0"), **lstm_weights(3, 4, "_l0_reverse", seed=5)}
    names = {"forward": "*_l0", "backward": "*_l0_reverse"}
    for one in (nn.lstm(4), nn.rnn(nn.lstm_cell(4))):
        params, _ = interop.from_torch(both, nn.bidirectional(one), x, names)
        np.testing.assert_array_equal(params["backward"]["input_kernel"], both["weight_ih_l0_reverse"].T)


def test_a_cell_of_ones_own_is_not_taken_for_another():
    own = nn.lstm_cell(4)
    cell = nn.Cell("mine", own.init, own.init_carry, own.step, scan=own.scan)
    with pytest.raises(
        ValueError, match=r"rnn_0 \(mine\): no rule tells where a layer of kind 'mine' finds \w+;"
    ):
        interop.from_torch(
            lstm_weights(3, 4, "_l0"), nn.chain(nn.rnn(cell)), jnp.ones((2, 5, 3)), {"rnn_0": "*_l0"}
        )


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float64"])
def test_weights_keep_their_dtype(name, tmp_path):
    dtype = getattr(jnp, name).dtype
    weights = {"weight": draw(2, 3).astype(dtype), "bias": draw(2).astype(dtype)}
    interop.save_safetensors(tmp_path / "x", {"fc": weights})
    for tensors in (weights, interop.load_safetensors(tmp_path / "x")["fc"]):
        params, _ = interop.from_torch(tensors, nn.dense(2), jnp.ones((1, 3)))
        assert params["kernel"].dtype == dtype
        assert params["kernel"].tobytes() == weights["weight"].T.tobytes()


def fused(width: int = 4) -> dict[str, np.ndarray]:
    """Return what GPT-2 calls ``c_attn``: kernels ``(in, out)`` of queries, keys and values side by side."""
    return {"c_attn.weight": draw(width, 3 * width), "c_attn.bias": draw(3 * width)}


def test_parts_of_a_fused_tensor():
    weights = {**fused(), "c_proj.weight": draw(4, 4, seed=5), "c_proj.bias": draw(4, seed=6)}
    names = {"attention_0.output.kernel": "c_proj.weight", "attention_0.output.bias": "c_proj.bias"}
    for place, part in enumerate(("query", "key", "value")):
        rows = np.s_[4 * place : 4 * place + 4]
        names[f"attention_0.{part}.kernel"] = interop.Tensor("c_attn.weight", index=np.s_[:, rows])
        names[f"attention_0.{part}.bias"] = interop.Tensor("c_attn.bias", index=rows)
    model, x = nn.chain(nn.attention(2)), jnp.ones((1, 5, 4))
    params = interop.from_torch(weights, model, x, names)[0]["attention_0"]
    np.testing.assert_array_equal(params["key"]["kernel"], weights["c_attn.weight"][:, 4:8])
    np.testing.assert_array_equal(params["value"]["bias"], weights["c_attn.bias"][8:])

    rest = {path: target for path, target in names.items() if "value.bias" not in path}
    with pytest.raises(ValueError, match=r"attention_0 \(attention\): no tensor 'attention_0\.in_proj_bias'"):
        interop.from_torch(weights, model, x, rest)
    names["attention_0.value.bias"] = interop.Tensor("c_attn.bias", index=np.s_[:4])
    with pytest.raises(
        ValueError, match=r"1 tensor\(s\) belong .*: c_attn\.bias \(4 of 12 numbers\); map a layer"
    ):
        interop.from_torch(weights, model, x, names)
    interop.from_torch(weights, model, x, names, ignore=("c_attn.bias",))


def test_rows_of_a_joint_projection_go_to_layers_of_ones_own():
    weights = {"in_proj_weight": draw(12, 4), "in_proj_bias": draw(12)}
    model = nn.branch(query=nn.dense(4), key=nn.dense(4), value=nn.dense(4))
    names = {}
    for place, part in enumerate(("query", "key", "value")):
        rows = np.s_[4 * place : 4 * place + 4]
        names[f"{part}.kernel"] = interop.Tensor("in_proj_weight", (1, 0), rows)
        names[f"{part}.bias"] = interop.Tensor("in_proj_bias", index=rows)
    params, _ = interop.from_torch(weights, model, jnp.ones((1, 4)), names)
    np.testing.assert_array_equal(params["value"]["kernel"], weights["in_proj_weight"][8:].T)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 3),
    st.sampled_from(["layer", "leaf", "tensor", "table"]),
)
def test_published_positions_lose_their_axes_of_one(length, features, axes, how):
    table = draw(*(1,) * axes, length, features)
    path, target = {
        "layer": ("positional_embedding_0", "pos_embed"),
        "leaf": ("positional_embedding_0.embedding", "pos_embed"),
        "tensor": ("positional_embedding_0.embedding", interop.Tensor("pos_embed")),
        "table": ("positional_embedding_0", "wpe"),
    }[how]
    weights = {"wpe.weight" if how == "table" else "pos_embed": table}
    model = nn.chain(nn.positional_embedding(length))
    params, _ = interop.from_torch(weights, model, jnp.ones((1, length, features)), {path: target})
    np.testing.assert_array_equal(
        params["positional_embedding_0"]["embedding"], table.reshape(length, features)
    )


TWO = nn.chain(trunk=nn.dense(4), head=nn.dense(2))
X = jnp.ones((1, 3))


def test_what_is_missing_keeps_its_initial_value():
    weights = {"trunk.weight": draw(4, 3), "trunk.bias": draw(4), "old.weight": draw(5), "old.bias": draw(1)}
    started, reports = TWO.init(jax.random.key(3), X), []
    found = interop.from_torch(weights, TWO, X, strict=False, initial=started, report=reports.append)
    np.testing.assert_array_equal(found[0]["trunk"]["kernel"], weights["trunk.weight"].T)
    np.testing.assert_array_equal(found[0]["head"]["kernel"], started[0]["head"]["kernel"])
    (report,) = reports
    assert set(report.missing) == {"head.kernel", "head.bias"}
    assert "head (dense): no tensor 'head.weight'" in report.missing["head.kernel"]
    assert report.extra == ("old.weight", "old.bias")
    again = interop.from_torch(
        weights, TWO, X, strict=False, initial=jax.random.key(3), report=reports.append
    )
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), found, again)))


def test_what_is_missing_is_printed(capsys):
    weights = {"trunk.weight": draw(4, 3), "head.weight": draw(2, 4), "head.bias": draw(2), "old": draw(5)}
    interop.from_torch(weights, TWO, X, strict=False, initial=jax.random.key(0))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("initial value kept: trunk (dense): no tensor 'trunk.bias'")
    assert lines[1] == "not used: old"
    interop.from_torch({**weights, "trunk.bias": draw(4)}, TWO, X, strict=False, ignore=("old",))
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("weights", "more", "error", "message"),
    [
        ({"trunk.weight": (4, 3)}, {}, ValueError, r"no tensor .*; or pass initial=model\.init\(key, x\)"),
        (
            {"trunk.weight": (4, 9)},
            {"initial": 0},
            ValueError,
            r"trunk\.kernel: expected float32\[3, 4\], got",
        ),
        ({"x.weight": (4, 3)}, {"initial": 0}, ValueError, "no layer of this model found a tensor"),
        ({"trunk.weight": (4, 3)}, {"initial": {}}, TypeError, r"initial must be \(params, state\)"),
        (
            {"trunk.weight": (4, 3)},
            {"initial": ({}, {})},
            ValueError,
            r"expected float32\[\d.*\] in initial, got None",
        ),
        ({"trunk.weight": (4, 3)}, {"initial": 0, "names": {"neck": "n"}}, ValueError, "names has 'neck'"),
    ],
)
def test_what_strict_false_does_not_let_pass(weights, more, error, message):
    arrays = {name: draw(*shape) for name, shape in weights.items()}
    if more.get("initial") == 0:
        more = {**more, "initial": jax.random.key(0)}
    with pytest.raises(error, match=message):
        interop.from_torch(arrays, TWO, X, strict=False, report=lambda _: None, **more)


def test_a_copy_that_is_missing_is_taken_from_the_stack():
    model = nn.chain(nn.repeat(nn.dense(3), 3))
    weights = {
        f"{i}.{name}": draw(*shape, seed=i)
        for i in (0, 2)
        for name, shape in (("weight", (3, 3)), ("bias", (3,)))
    }
    started, reports = model.init(jax.random.key(0), X), []
    names = {"repeat_0": "{copy}"}
    params, _ = interop.from_torch(
        weights, model, X, names, strict=False, initial=started, report=reports.append
    )
    kernel = params["repeat_0"]["kernel"]
    np.testing.assert_array_equal(kernel[1], started[0]["repeat_0"]["kernel"][1])
    np.testing.assert_array_equal(kernel[2], weights["2.weight"].T)
    assert set(reports[0].missing) == {"repeat_0.kernel", "repeat_0.bias"}


LAYERS = {
    "dense": (lambda: nn.dense(2), (1, 3), ("weight", "bias")),
    "conv": (lambda: nn.conv(2, (3, 3)), (1, 5, 5, 3), ("weight", "bias")),
    "conv_transpose": (lambda: nn.conv_transpose(2, (3, 3)), (1, 5, 5, 3), ("weight", "bias")),
    "batch_norm": (lambda: nn.batch_norm(), (2, 3), ("weight", "bias", "running_mean", "running_var")),
    "group_norm": (lambda: nn.group_norm(1), (2, 5, 3), ("weight", "bias")),
    "layer_norm": (lambda: nn.layer_norm(), (2, 3), ("weight", "bias")),
    "rms_norm": (lambda: nn.rms_norm(), (2, 3), ("weight",)),
    "embedding": (lambda: nn.embedding(7, 2), (2, 3), ("weight",)),
    "positional_embedding": (lambda: nn.positional_embedding(), (2, 3, 4), ("weight",)),
    "prelu": (lambda: nn.prelu(shared=False), (2, 3), ("weight",)),
    "lstm": (lambda: nn.lstm(2), (2, 4, 3), ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    "gru": (lambda: nn.gru(2), (2, 4, 3), ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    "attention": (
        lambda: nn.attention(2),
        (2, 5, 4),
        ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"),
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_tensors_of_any_shape_fit_or_are_named(kind, data):
    """With what was expected and what was found; 13 sizes, of which no layer here has one."""
    make, shape, tensors = LAYERS[kind]
    sizes = st.lists(st.sampled_from([0, 1, 13]), max_size=5)
    weights = {name: np.ones(data.draw(sizes), np.float32) for name in tensors}
    x = jnp.ones(shape, jnp.int32 if kind == "embedding" else jnp.float32)
    with pytest.raises(
        ValueError, match=rf"^from_torch: {kind}_0\.[\w.]+: expected float32\[[\d, ]*\], got float32\["
    ):
        interop.from_torch(weights, nn.chain(make()), x, {f"{kind}_0": ""})


def test_flax_takes_no_marker_and_knows_cells():
    weights = {"params": {"d": {"kernel": draw(3, 2), "bias": draw(2)}}}
    message = re.escape("from_flax: names['dense_0'] must be text, got AfterFlatten(")
    with pytest.raises(TypeError, match=message):
        interop.from_flax(weights, nn.chain(nn.dense(2)), X, {"dense_0": interop.AfterFlatten("d", SHAPE)})

    import flax.linen as linen

    x = draw(2, 5, 3)
    theirs = linen.RNN(linen.LSTMCell(4))
    model, names = nn.chain(nn.rnn(nn.lstm_cell(4))), {"rnn_0": "cell"}
    variables = theirs.init(jax.random.key(0), x)
    params, state = interop.from_flax(variables, model, x, names)
    np.testing.assert_allclose(
        model.apply(params, state, x)[0], theirs.apply(variables, x), rtol=1e-5, atol=1e-6
    )
    back = interop.to_flax(params, state, model, x, variables, names)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), back, variables)))
