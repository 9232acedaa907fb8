"""``python -m jaxnn.testing module:layer`` prints the verdict of every law on a layer."""

import argparse
import difflib
import importlib
import os
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import Layer
from jaxnn.testing import EXTRA_LANES, LANES, Outcome, check_layer


def find(path: str) -> Any:
    """The object that ``module:name`` names; a factory without required arguments is called.

    Raises:
        ValueError: the path has no colon, the module can't be imported, or it has no such name.
    """
    module, colon, name = path.partition(":")
    if not colon or not name:
        raise ValueError(f"expected module:layer, such as mypackage.layers:my_layer, got {path!r}")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f"no module {error.name!r}; run from the folder that holds it") from error
    for part in name.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(part, dir(found), n=3)
            raise ValueError(
                f"{module} has no {part!r}" + (f"; did you mean {' or '.join(close)}?" if close else "")
            )
        found = getattr(found, part)
    return found


def made(found: Any, arguments: str) -> Any:
    """A layer from a layer or from its factory, called with the comma-separated numbers of ``arguments``."""
    if isinstance(found, Layer):
        return found
    if arguments:
        return found(*(_number(text) for text in arguments.split(",")))
    try:
        layer = found()
    except TypeError:
        return found
    return layer if isinstance(layer, Layer) else found


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return float(text)


def main(argv: list[str] | None = None) -> int:
    """Check a layer and print the table; 0 when every law holds, 1 when not, 2 for a wrong command."""
    parser = argparse.ArgumentParser(prog="python -m jaxnn.testing", description=__doc__)
    parser.add_argument("layer", help="module:name of a Layer, a factory of one, or a function of one array")
    parser.add_argument("--args", default="", help="arguments of the factory, such as 8 or 8,0.5")
    parser.add_argument("--shape", default="3,4", help="shape of the input, batch first (default 3,4)")
    parser.add_argument("--vocabulary", type=int, help="integer input below this, instead of Gaussian floats")
    parser.add_argument("--cross-batch", action="store_true", help="rows of a batch see each other")
    known = ", ".join((*LANES, *EXTRA_LANES))
    parser.add_argument("--lanes", default=",".join(LANES), help="comma-separated, of " + known)
    parser.add_argument("--devices", type=int, help="CPU devices, for the sharding lane")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if options.devices:
        jax.config.update("jax_num_cpu_devices", options.devices)
    sys.path.insert(0, os.getcwd())
    try:
        layer = made(find(options.layer), options.args)
        shape = tuple(int(size) for size in options.shape.split(",") if size)
        x: Any = jax.ShapeDtypeStruct(shape, jnp.float32)
        if options.vocabulary:
            x = np.random.default_rng(options.seed).integers(0, options.vocabulary, shape).astype(np.int32)
        report = check_layer(
            layer,
            x,
            seed=options.seed,
            cross_batch=options.cross_batch,
            lanes=options.lanes.split(","),
            raises=False,
        )
    except (TypeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report.table())
    return 0 if report.outcome is Outcome.PASS else 1


if __name__ == "__main__":
    sys.exit(main())
