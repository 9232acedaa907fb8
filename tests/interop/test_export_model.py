"""Trained models as files that run without this library, for any batch size."""

import functools
import subprocess
import sys

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import interop

pytest.importorskip("flatbuffers")


def f32(*shape):
    return jax.ShapeDtypeStruct((2, *shape), jnp.float32)


@nn.model(left=nn.dense(3), right=nn.dense(3))
def two_towers(m, x):
    return {"score": jnp.sum(m.left(x["a"]) * m.right(x["b"]), -1)}


MODELS = {
    "lenet": lambda: nn.chain(
        *(nn.conv(4, (5, 5), padding="SAME"), jax.nn.relu, nn.avg_pool((2, 2))),
        *(nn.conv(6, (3, 3)), jax.nn.relu, nn.max_pool((2, 2)), nn.flatten(), nn.dense(3)),
    ),
    "convolutions": lambda: nn.chain(
        *(nn.conv(32, (3, 3), 2, "SAME"), nn.conv(32, (3, 3), groups=4), nn.conv(8, (3, 3), dilation=2)),
        *(nn.conv_transpose(4, (3, 3), 2), nn.max_pool((3, 3), 2, "SAME"), nn.avg_pool((3, 3), 1, "SAME")),
        nn.global_avg_pool(),
    ),
    "norms": lambda: nn.chain(
        *(
            nn.conv(4, (3, 3)),
            nn.batch_norm(),
            nn.group_norm(2),
            nn.instance_norm(),
            nn.layer_norm(),
            nn.rms_norm(),
        ),
        *(nn.upsample((2, 2)), nn.spectral_norm(nn.dense(2)), nn.dropout(0.5)),
    ),
    "recurrent": lambda: nn.chain(
        nn.bidirectional(nn.lstm(4)),
        nn.gru(4),
        nn.gru(3, form="original"),
        nn.simple_rnn(3, return_sequences=False),
    ),
    "transformer": lambda: nn.chain(
        *(nn.embedding(11, 8), nn.positional_embedding(16), nn.transformer_block(2)),
        nn.repeat(nn.transformer_block(2, causal=True, rotary=True, kv_heads=1), 2),
    ),
    "two towers": lambda: two_towers,
}
INPUTS = {
    "lenet": f32(12, 12, 1),
    "convolutions": f32(28, 28, 8),
    "norms": f32(6, 6, 2),
    "recurrent": f32(5, 3),
    "transformer": jax.ShapeDtypeStruct((2, 5), jnp.int32),
    "two towers": {"a": f32(4), "b": f32(5)},
}


def draw(spec, batch):
    rng = np.random.default_rng(0)

    def one(leaf):
        shape = (batch, *leaf.shape[1:])
        return (
            rng.integers(0, 11, shape).astype(leaf.dtype)
            if leaf.dtype == jnp.int32
            else rng.normal(size=shape).astype(leaf.dtype)
        )

    return jax.tree.map(one, spec)


@functools.cache
def made(name):
    """The model, with drawn numbers for weights and statistics."""
    model = MODELS[name]()
    rng = np.random.default_rng(1)

    def one(leaf):
        return rng.uniform(0.1, 0.5, leaf.shape).astype(leaf.dtype) * rng.choice(
            np.float32([-1, 1]), leaf.shape[-1:]
        )

    params, state = jax.eval_shape(lambda: model.init(jax.random.key(0), INPUTS[name]))
    return model, jax.tree.map(one, params), jax.tree.map(lambda leaf: np.abs(one(leaf)), state)


@pytest.mark.parametrize("name", MODELS)
def test_the_file_computes_what_the_model_does_at_any_batch_size(tmp_path, name):
    model, params, state = made(name)
    interop.export_model(tmp_path / "model", model, params, state, INPUTS[name])
    predict = jax.export.deserialize(bytearray((tmp_path / "model").read_bytes())).call
    for batch in (1, 3) if name == "two towers" else (3,):
        x = draw(INPUTS[name], batch)
        expected = jax.jit(lambda x: model.apply(params, state, x)[0])(x)
        for a, b in zip(jax.tree.leaves(predict(x)), jax.tree.leaves(expected), strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


RUN = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("jaxnn", "flax", "optax"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import numpy as np
import jax, jax.export, pathlib
predict = jax.export.deserialize(bytearray(pathlib.Path(sys.argv[1]).read_bytes())).call
y = predict(np.load(sys.argv[2]))
np.save(sys.argv[3], y)
try:
    import jaxnn
except ImportError as error:
    print(error)
"""


def test_it_runs_in_a_process_without_this_library(tmp_path):
    model, params, state = made("lenet")
    interop.export_model(
        tmp_path / "model", model, params, state, INPUTS["lenet"], platforms=("cpu", "cuda", "tpu")
    )
    x = draw(INPUTS["lenet"], 7)
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("model", "x.npy", "y.npy")]
    done = subprocess.run([sys.executable, "-c", RUN, *files], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "jaxnn is blocked"
    expected = model.apply(params, state, jnp.asarray(x))[0]
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-6)


def test_platforms_and_sizes_are_what_was_asked(tmp_path):
    model, params, state = made("two towers")
    interop.export_model(
        tmp_path / "x", model, params, state, INPUTS["two towers"], platforms=["cuda", "tpu"], batch=None
    )
    found = jax.export.deserialize(bytearray((tmp_path / "x").read_bytes()))
    assert found.platforms == ("cuda", "tpu")
    assert [str(a) for a in found.in_avals] == ["float32[2,4]", "float32[2,5]"]
    with pytest.raises(ValueError, match="cpu"):
        found.call(draw(INPUTS["two towers"], 2))


def test_a_failed_export_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"first axis for the batch, got float32\[\]; pass batch=None"):
        interop.export_model(tmp_path / "x", jnp.sin, {}, {}, jnp.ones(()))
    with pytest.raises(TypeError, match=r"needs this library's Masked to be read"):
        interop.export_model(tmp_path / "x", jnp.sin, {}, {}, nn.Masked(jnp.ones((1, 2)), jnp.ones(1, bool)))
    with pytest.raises(ValueError, match=r"platforms must be one of 'cpu', .* did you mean 'cuda'"):
        interop.export_model(tmp_path / "x", jnp.sin, {}, {}, jnp.ones(2), platforms=("cudo",))
    assert list(tmp_path.iterdir()) == []
