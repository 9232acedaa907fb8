"""A trained model as one file that runs without this library: StableHLO, by ``jax.export``.

Source: https://docs.jax.dev/en/latest/export/export.html.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnn.core import Params, State, describe, has_masked, lift, one_of, spec_of
from jaxnn.interop._atomic_write import atomic_write
from jaxnn.ops._dispatch import lowered_for

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def export_model(
    path: str | Path,
    model: Any,
    params: Params,
    state: State,
    x: Any,
    *,
    platforms: Sequence[str] | None = None,
    batch: str | None = "batch",
) -> None:
    """Write ``x -> y`` of a trained model in evaluation, weights included, atomically.

    Whoever has JAX can run the file for inputs of any batch size, this library or not:

        import jax, pathlib
        predict = jax.export.deserialize(bytearray(pathlib.Path("model.jax").read_bytes())).call
        y = predict(x)

    JAX promises that later versions of itself run such a file for six months at least. It holds no code of
    Python and is no pickle. ``pip install flatbuffers`` is needed to write and to read one.

    Args:
        path: the file.
        model: layer.
        params: trained parameters; they become constants of the program.
        state: running statistics, likewise.
        x: an input, or specs of it; ``Masked`` inputs are given as two arrays, by a model of your own.
        platforms: what the program will run on: ``"cpu"``, ``"cuda"``, ``"rocm"``, ``"tpu"``; this machine's
            own when ``None``. Each platform's formulations are chosen for it, those of several for any.
        batch: name of the size of the first axis of every input, which stays free; ``None`` fixes it.

    Raises:
        TypeError: the input carries a mask.
        ValueError: an input has no axis for the batch, or a platform is unknown.
        ImportError: flatbuffers is missing.
        OSError: the file cannot be written.

    Example:
        >>> import jax, jax.export, jax.numpy as jnp, pathlib, tempfile
        >>> import jaxnn as nn
        >>> from jaxnn import interop
        >>> model = nn.chain(nn.dense(2), jax.nn.softmax)
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.jax"
        >>> interop.export_model(path, model, params, state, jnp.ones((1, 3)))
        >>> predict = jax.export.deserialize(bytearray(path.read_bytes())).call
        >>> predict(jnp.ones((5, 3))).shape
        (5, 2)
    """
    from jax import export

    layer = lift(model)
    if has_masked(x):
        raise TypeError(
            f"export_model: {describe(x)} needs this library's Masked to be read; wrap the model in one that "
            "takes (value, mask) and builds Masked itself"
        )
    for platform in platforms or ():
        one_of("export_model", "platforms", platform, _PLATFORMS)
    # Concrete, so that they are constants of the program wherever it runs.
    params, state = jax.tree.map(np.asarray, (params, state))

    def predict(x: Any) -> Any:
        return layer.apply(params, state, x, train=False)[0]

    specs = spec_of(x) if batch is None else _free_batch(spec_of(x), batch)
    with lowered_for(platforms or ()):
        exported = export.export(jax.jit(predict), platforms=tuple(platforms) if platforms else None)(specs)
    with atomic_write(path, "export_model") as temporary:
        temporary.write_bytes(exported.serialize())


def _free_batch(specs: Any, name: str) -> Any:
    from jax import export

    (size,) = export.symbolic_shape(name)

    def free(spec: Any) -> Any:
        if not spec.shape:
            raise ValueError(
                f"export_model: every input needs a first axis for the batch, got {describe(specs)}; pass "
                "batch=None to fix all sizes"
            )
        return jax.ShapeDtypeStruct((size, *spec.shape[1:]), spec.dtype)

    return jax.tree.map(free, specs)
