"""What stands beside the weights, and the command that compares two files of them."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import interop
from jaxnn.interop.__main__ import main


def test_the_description_names_every_layer():
    model = nn.chain(
        nn.chain(nn.dense(4), nn.batch_norm()).named("stem"),
        nn.repeat(nn.dense(4), 3),
        jax.nn.relu,
        head=nn.dense(1),
    )
    text = interop.describe_model(model, jax.ShapeDtypeStruct((2, 3), jnp.float32))
    assert text["library"] == "jaxnn"
    assert text["version"] == nn.__version__
    rows = {row["path"]: row for row in json.loads(text["model"])}
    assert list(rows) == ["stem.dense_0", "stem.batch_norm_0", "repeat_0", "relu_0", "head"]
    assert rows["stem.batch_norm_0"]["state"] == {"mean": "float32[4]", "var": "float32[4]"}
    assert rows["repeat_0"] == {
        "path": "repeat_0",
        "kind": "dense",
        "input": "float32[2, 4]",
        "output": "float32[2, 4]",
        "copies": [3],
        "params": {"bias": "float32[4]", "kernel": "float32[4, 4]"},
    }
    assert rows["head"]["output"] == "float32[2, 1]"


def test_it_travels_with_the_weights(tmp_path):
    model, x = nn.chain(nn.dense(2)), jnp.ones((1, 3))
    params, _ = model.init(jax.random.key(0), x)
    interop.save_safetensors(tmp_path / "x", params, interop.describe_model(model, x))
    assert interop.load_metadata(tmp_path / "x") == interop.describe_model(model, x)


@pytest.fixture
def files(tmp_path):
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    interop.save_safetensors(a, {"dense_0": {"kernel": np.ones((2, 2)), "bias": np.zeros(2)}})
    interop.save_safetensors(b, {"dense_0": {"kernel": np.full((2, 2), 1.5), "bias": np.zeros(2)}})
    return str(a), str(b)


def test_diff_prints_a_table(files, capsys):
    assert main(["diff", *files]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[1].split()) == "dense_0.kernel values float64[2, 2] float64[2, 2] 0.5 0.5 1"
    assert lines[-1] == "1 of 2 leaves differ, 1 are equal"
    assert main(["diff", files[0], files[0]]) == 0


def test_diff_of_what_is_no_file(files, capsys):
    assert main(["diff", files[0], "none"]) == 2
    assert capsys.readouterr().err == "load_safetensors: none: no such file\n"
    with pytest.raises(SystemExit, match="2"):
        main(["dif", *files])


def test_diff_runs_as_a_command(files):
    done = subprocess.run(
        [sys.executable, "-m", "jaxnn.interop", "diff", *files], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "dense_0.kernel" in done.stdout
    assert done.stderr == ""
