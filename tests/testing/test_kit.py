"""Reports, tolerances, strategies and the command line."""

import pickle
import subprocess
import sys

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxnn import testing
from jaxnn.testing import strategies
from jaxnn.testing.__main__ import main
from jaxnn.testing._report import failed, inconclusive, passed
from jaxnn.testing._tolerance import worst_mismatch


def test_a_report_is_as_bad_as_its_worst_verdict():
    report = testing.Report("subject", [passed("a")])
    assert report.outcome is testing.Outcome.PASS
    report.add([inconclusive("b", "noisy")])
    assert report.outcome is testing.Outcome.INCONCLUSIVE
    with pytest.raises(testing.CheckError, match="INCONCLUSIVE b"):
        report.raise_unless_passed()
    report.add([failed("c", "wrong")])
    assert report.outcome is testing.Outcome.FAIL


def test_the_error_survives_a_worker_process():
    error = pickle.loads(pickle.dumps(testing.CheckError(testing.Report("s", [failed("c", "wrong")]))))
    assert "FAIL c" in str(error)


def test_tolerances_go_by_dtype_and_never_by_size():
    order = [testing.tolerance(dtype) for dtype in (jnp.float64, jnp.float32, jnp.float16, jnp.bfloat16)]
    assert order == sorted(order)
    for size in (4, 4096):
        right = np.ones(size)
        error, _ = worst_mismatch([right * (1 + 1e-3)], [right])
        assert error == pytest.approx(1e-3)
    with pytest.raises(ValueError, match="expected one of"):
        testing.tolerance(jnp.int32)


def test_nan_never_equals_nan():
    assert worst_mismatch([np.array([np.nan])], [np.array([np.nan])])[0] == np.inf


@hypothesis.given(strategies.arrays(shape=(2, 3), dtype=jnp.bfloat16), strategies.masks((3, 5)))
def test_arrays_and_masks_are_what_they_say(array, mask):
    assert array.shape == (2, 3)
    assert array.dtype == jnp.bfloat16
    assert mask[:, 0].all()
    assert (np.diff(mask.astype(int), axis=1) <= 0).all()


@hypothesis.given(
    strategies.parameter_trees(odd_leaves=True), strategies.labels((4,), 3), strategies.shapes(3)
)
def test_trees_labels_and_shapes(tree, labels, shape):
    assert tree["dense_0"]["kernel"].shape[1:] == tree["dense_0"]["bias"].shape
    assert labels.min() >= 0
    assert labels.max() < 3
    assert len(shape) == 3


@hypothesis.given(strategies.keys(), strategies.dtypes(double=True), st.data())
def test_keys_dtypes_and_layers(key, dtype, data):
    assert jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    assert jnp.issubdtype(dtype, jnp.floating)
    layer = data.draw(strategies.layers([lambda: jnp.tanh, lambda: jnp.sin], lambda *fs: fs))
    assert 1 <= len(layer) <= 3


@pytest.mark.parametrize("kind", strategies.KINDS)
def test_every_kind_of_point_is_finite(kind):
    assert np.isfinite(strategies.make_array((3, 4), kind, seed=0)).all()


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected one of"):
        strategies.make_array((2,), "spiky", seed=0)


def test_the_command_prints_the_table_and_returns_the_verdict(capsys, tmp_path, monkeypatch):
    assert main(["jaxnn:dense", "--args", "3", "--shape", "2,4", "--lanes", "gradients"]) == 0
    assert "finite difference" in capsys.readouterr().out
    (tmp_path / "bent_layers.py").write_text(
        "import jax\nfrom jaxnn import stateless\n\n"
        "def bent():\n    return stateless('bent', None, lambda p, x: jax.lax.stop_gradient(x) + 0.5 * x)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["bent_layers:bent", "--lanes", "gradients"]) == 1
    assert "ratio 0.333333" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["jaxnn"], "expected module:layer"),
        (["jaxnn:dens"], "did you mean dense?"),
        (["no_such_module:layer"], "no module 'no_such_module'"),
        (["jaxnn:dense", "--args", "3", "--lanes", "gradient"], "unknown lanes"),
    ],
)
def test_a_wrong_command_says_so(command, message, capsys):
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_importing_the_kit_leaves_hypothesis_alone():
    code = "import sys, jaxnn.testing; sys.exit(any(m in sys.modules for m in ('hypothesis', 'chex', 'flax', 'optax')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
