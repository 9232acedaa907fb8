"""One configuration for every test: strict promotion, typed keys, a persistent compilation cache."""

import os
import signal
import tempfile
import threading
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import pytest

from experiments.runner.compiled_programs import keep_compiled_programs

# What tests read of tables and messages is that of a plain terminal of 80 columns, here and in their children.
os.environ.update(COLUMNS="80", LINES="24")
for name in (
    "FORCE_COLOR",
    "NO_COLOR",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
    "PYTHONIOENCODING",
    "MPLBACKEND",
):
    os.environ.pop(name, None)

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")
# A folder of each user's own: in a shared one, nobody else's programs are run, and nobody is kept from writing.
OWNER = os.getuid() if hasattr(os, "getuid") else "user"
keep_compiled_programs(
    os.environ.get("JAXNN_TEST_CACHE") or Path(tempfile.gettempdir()) / f"jaxnn-test-cache-{OWNER}", 0.0
)

# A job in the background of a script ignores Ctrl-C, and so would every test of it, and every child.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    and threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("jaxnn", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("jaxnn")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out unless ``-m`` asks for them."""
    if config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="slow: run with -m slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
