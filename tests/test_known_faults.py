"""The table of known faults: what it says is so on the installed release of jaxlib, and wherever it is shown."""

import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jaxlib.version import __version__ as installed

from jaxnn import __main__ as command
from jaxnn.core import FAULTS, known_faults

PAGE = Path(__file__).parents[1] / "docs" / "known_faults.md"
NAMES = [fault.name for fault in FAULTS]


def _small_matrix_sums() -> bool:
    rows = np.random.default_rng(0).normal(size=(32_769, 3)).astype(np.float32)
    matrix = np.eye(3, dtype=np.float32)
    got = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    return not np.allclose(got, np.sum(rows**2, 1), rtol=1e-4)


def _negative_padding() -> bool:
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 4, 10, 9)), rng.normal(size=(5, 4, 3, 3))
    x, kernel = (jnp.asarray(array, jnp.float32) for array in (x, kernel))
    cut = jnp.pad(x[..., 2:], ((0, 0), (0, 0), (0, 0), (0, 2)))
    got = jax.jit(lambda x, k: lax.conv_general_dilated(x, k, (1, 1), ((0, 0), (-2, 2))))(x, kernel)
    exact = jax.jit(lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "VALID"))(cut, kernel)
    return not np.allclose(got, exact, rtol=1e-3, atol=1e-4)


def _nested_slices() -> bool:
    def nested(x: jax.Array, first: int, second: int) -> jax.Array:
        return lax.dynamic_slice(lax.dynamic_slice(x, (first,), (4,)), (second,), (1,))

    return float(jax.jit(nested)(jnp.arange(10.0), 9, 0)[0]) != 6.0


def _shifted_update() -> bool:
    def shifted(x: jax.Array) -> jax.Array:
        x = x + 1
        return x.at[1:].set(x[:-1]).reshape(1, 8, 16)

    rows = np.arange(1, 129, dtype=np.int32).reshape(8, 16)
    expected = np.concatenate([rows[:1], rows[:-1]])[None]
    return not np.array_equal(jax.jit(shifted)(rows - 1), expected)


def _spread_windows() -> bool:
    x = np.random.default_rng(0).normal(size=(64, 128)).astype(np.float32)

    def windows(x: jax.Array, spread: tuple[int, int]) -> jax.Array:
        return lax.reduce_window(
            x, np.float32(0), lax.add, (2, 1), (2, 1), ((0, 0), (0, 0)), base_dilation=spread
        )

    apart = np.zeros((64, 255), np.float32)
    apart[:, ::2] = x
    return not np.allclose(jax.jit(windows, static_argnums=1)(x, (1, 2)), apart[::2] + apart[1::2], atol=1e-5)


def _sums_of_many_axes() -> bool:
    code = (
        "import jax, jax.numpy as jnp\n"
        "jax.config.update('jax_platforms', 'cpu')\n"
        "def f(x, a):\n"
        "    return jnp.log(jnp.maximum(jnp.sum(x[..., None, None, None, None, None] * a, axis=2), 1e-16))\n"
        "jax.jit(f)(jnp.ones((10, 4, 6)), jnp.ones((10, 4, 6, 9, 9, 9, 9, 9))).block_until_ready()\n"
    )
    try:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def _small_updates() -> bool:
    steps = 20_000

    @jax.jit
    def stacked(x: jax.Array) -> jax.Array:
        return lax.scan(lambda carry, _: (carry * 0.5 + 1, carry), x, length=steps)[1]

    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        stacked(jnp.ones(())).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return min(seconds) > steps * 3e-6  # A step takes 10 ns; one that rewrites the array, 30 microseconds.


FOUND = {
    "small_matrix_sums": _small_matrix_sums,
    "negative_padding": _negative_padding,
    "nested_slices": _nested_slices,
    "shifted_update": _shifted_update,
    "spread_windows": _spread_windows,
    "sums_of_many_axes": _sums_of_many_axes,
    "small_updates": _small_updates,
}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the faults that are known are of the CPU backend")
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_is_there_on_the_releases_that_the_table_names_and_on_no_other(name: str) -> None:
    expected = name in {fault.name for fault in known_faults(platform="cpu")}
    assert FOUND[name]() == expected, f"jaxlib {installed}: correct the releases of {name!r} in the table"


def test_releases_are_compared_as_numbers() -> None:
    def names(release: str, platform: str = "cpu") -> list[str]:
        return [fault.name for fault in known_faults(release, platform)]

    assert len(names("0.10.2")) == 6
    assert names("0.9.2") == []
    assert "small_updates" in names("0.11.1")
    assert "small_updates" not in names("0.11.2")
    assert names("0.11.1.dev20260901") == names("0.11.1")
    assert names("0.12") == names("0.12.0") == names("0.100.0") == ["shifted_update", "spread_windows"]
    assert names("0.10.2", "gpu") == []
    with pytest.raises(ValueError, match=r"expected a release of jaxlib such as .*, got 'newest'"):
        known_faults("newest", "cpu")


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_the_page_has_the_table_that_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["faults", "--markdown"]) == 0
    assert PAGE.read_text(encoding="utf-8").endswith("\n\n" + capsys.readouterr().out)


def test_the_command_prints_80_columns_of_ascii_and_marks_what_is_met_here() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "jaxnn"],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(PAGE.parents[1])},
        timeout=120,
    )
    text = run.stdout.decode("ascii")
    assert max(map(len, text.splitlines())) <= 80
    for package in ("python", "jaxnn", "jax", "jaxlib", "flax", "optax", "numpy", "devices"):
        assert f"\n{package} " in "\n" + text
    marked = {line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith("[HERE]")}
    assert marked == {fault.name for fault in known_faults(platform="cpu")}


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["fautls"])
    assert stopped.value.code == 2
    assert "faults" in capsys.readouterr().err
