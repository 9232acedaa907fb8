"""What a run's numbers depend on besides its configuration, and the cache of compiled programs."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.data.download import cache_folder
from experiments.runner.compiled_programs import keep_compiled_programs, share_store


def environment() -> dict[str, Any]:
    """Versions, device, XLA flags, random generator and known faults of jaxlib, for ``config.json``."""
    import jax

    from jaxnn.core import known_faults

    devices = jax.devices()
    return {
        "command": ["python", "-m", "experiments", *sys.argv[1:]],
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("jaxnn", "jax", "jaxlib", "optax", "numpy")},
        },
        "device": {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "processors": os.cpu_count(),
        },
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "known_faults": [fault.name for fault in known_faults()],
        "prng": jax.random.key_impl(jax.random.key(0)),
    }


def enable_compilation_cache() -> None:
    """Keep compiled programs in the cache folder, so that a second run starts at once.

    A folder and limits that the caller has configured already are left as they are. A user without a home
    and without ``JAXNN_CACHE`` keeps none: a folder open to all is no place for programs.
    """
    import jax

    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        share_store()
        return
    try:
        folder = cache_folder() / "compiled"
    except RuntimeError:
        return
    keep_compiled_programs(folder, 0.1)


def _processor() -> str:
    """The processor's own name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
