"""Every layer on a mesh with explicit axes gives what it gives without one, in values and in gradients."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from conformance_table import TABLE

import jaxnn as nn

NAMES = [entry.name for entry in TABLE]
QUICK = ["dense", "conv grouped", "max_pool overlapping", "batch_norm masked", "group_norm images"]
QUICK += ["lstm", "embedding", "random_shift", "repeat", "attention causal"]
OTHERS = ["fit", "a user's function", "no context", "vmap"]


def differing(names: list[str], how: str = "quick") -> str:
    """What the process reports; the number of devices must be told before JAX starts."""
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join(map(str, (here.parent, here.parents[1]))),
    }
    command = [sys.executable, str(here / "explicit_mesh.py"), how, *names]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_some_layers_on_an_explicit_mesh() -> None:
    assert set(QUICK) <= set(NAMES)
    assert differing(QUICK) == ""


def test_what_is_around_layers_on_an_explicit_mesh() -> None:
    assert differing(OTHERS) == ""


@pytest.mark.slow
def test_all_layers_on_an_explicit_mesh() -> None:
    assert differing(NAMES, "whole") == ""


def test_without_a_mesh_nothing_is_added() -> None:
    layer = nn.layer_norm()
    x = jnp.ones((2, 3))
    params, state = layer.init(jax.random.key(0), x)
    equations = jax.make_jaxpr(layer.apply)(params, state, x).eqns
    assert not {equation.primitive.name for equation in equations} & {"reshard", "jit", "pjit"}
