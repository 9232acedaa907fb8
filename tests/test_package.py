"""The house: light imports that go one way, an API that the docs name, examples that run."""

import ast
import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import jaxnn

ROOT = Path(jaxnn.__file__).parent
MODULES = sorted(
    info.name for info in pkgutil.walk_packages([str(ROOT)], "jaxnn.") if not info.name.endswith("__main__")
)
ROOMS = {
    "core": set(),
    "ops": set(),
    "layers": {"core", "ops"},
    "compose": {"core", "ops", "layers"},
    "losses": {"core"},
    "metrics": {"core", "losses"},
    "optim": set(),
    "train": {"core", "losses", "metrics"},
    "inspect": {"core", "compose", "metrics", "train"},
    "surgery": {"core"},
    "interop": {"core", "ops", "surgery"},
    "testing": {"core"},
}


def imported(path: Path) -> set[str]:
    """Names of jaxnn's rooms that a file imports."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("jaxnn"):
            parts = node.module.split(".")
            rooms |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            rooms |= {name.name.split(".")[1] for name in node.names if name.name.startswith("jaxnn.")}
    return rooms


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    allowed = ROOMS[room] | {room}
    wrong = {
        f"{path.relative_to(ROOT)} imports {other}"
        for path in (ROOT / room).rglob("*.py")
        for other in imported(path) & (set(ROOMS) - allowed)
    }
    assert not wrong


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module: str) -> None:
    found = importlib.import_module(module)
    result = doctest.testmod(found, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def run_python(code: str) -> str:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout


def test_importing_jaxnn_is_light() -> None:
    heavy = ("flax", "orbax", "matplotlib", "hypothesis", "chex", "sklearn", "optax", "rich", "scipy.stats")
    found = run_python(f"import sys, jaxnn; print([name for name in {heavy!r} if name in sys.modules])")
    assert found.strip() == "[]"


def test_importing_jaxnn_does_no_work() -> None:
    """Beside the import of JAX it is nothing, on any machine, in processor time, which others can't take."""
    code = (
        "import time\n"
        "start = time.process_time()\n"
        "import jax.numpy\n"
        "between = time.process_time()\n"
        "import jaxnn\n"
        "print((time.process_time() - between) / (between - start))\n"
        "from jax._src import xla_bridge\n"
        "print(xla_bridge.backends_are_initialized())"
    )
    shares = []
    for _ in range(3):
        share, initialised = run_python(code).split()
        shares.append(float(share))
        assert initialised == "False"
    assert min(shares) < 0.1


def test_every_public_function_has_a_docstring_with_an_example_or_shape() -> None:
    missing = [
        name
        for name in dir(jaxnn)
        if name[0].islower()
        and callable(getattr(jaxnn, name))
        and ">>>" not in (getattr(jaxnn, name).__doc__ or "")
    ]
    assert missing == []


@pytest.mark.parametrize(
    "package",
    [
        "jaxnn",
        "jaxnn.layers",
        "jaxnn.compose",
        "jaxnn.ops",
        "jaxnn.inspect",
        "jaxnn.surgery",
        "jaxnn.interop",
    ],
)
def test_names_that_load_lazily_are_those_that_type_checkers_see(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: f.module for f in block.body for alias in f.names if f.module != "jaxnn"}
    assert seen == module._HOMES
    for name, home in seen.items():
        assert getattr(module, name).__module__ == home


def test_unknown_names_raise() -> None:
    with pytest.raises(AttributeError, match="no attribute 'dens'"):
        _ = jaxnn.dens
