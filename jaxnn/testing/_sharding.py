"""A batch spread over many devices gives what it gives on one, in values and in gradients."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxnn.testing._program import Leaves, Program, Result, to_host
from jaxnn.testing._report import Verdict
from jaxnn.testing._rows import Batch
from jaxnn.testing._transforms import compare


def check_sharding(
    program: Program, point: Leaves, rng: np.random.Generator, arguments: tuple[int, ...]
) -> tuple[list[Verdict], str]:
    """Compare a program whose batch lies on one device with the same, its rows spread over all devices.

    Args:
        program: a float64 program.
        point: values of its moving leaves.
        rng: draws further rows and the cotangents.
        arguments: positions of the arguments whose leaves carry the batch.

    Returns:
        The verdicts, and a note where there is no batch to spread.

    Raises:
        ValueError: there is one device only.
    """
    devices = jax.devices()
    if len(devices) < 2:
        raise ValueError(
            "the sharding lane needs several devices: on a CPU call "
            "jax.config.update('jax_num_cpu_devices', 8) before anything else of jax"
        )
    batch = Batch(program, arguments)
    if not batch.rows or not any(batch.moving):
        return [], "sharding: the arguments have no common first axis of floating leaves"

    def widened(leaf: np.ndarray, carries: bool, moves: bool) -> np.ndarray:
        if not carries:
            return leaf
        rows = np.concatenate([leaf] * len(devices))
        return rows * rng.uniform(0.7, 1.3, rows.shape) if moves else rows

    moving = [widened(x, on, True) for x, on in zip(point, batch.moving, strict=True)]
    fixed = [widened(x, on, False) for x, on in zip(program.fixed, batch.fixed, strict=True)]
    mesh = Mesh(np.asarray(devices), ("rows",))
    spread, whole = (NamedSharding(mesh, spec) for spec in (PartitionSpec("rows"), PartitionSpec()))
    with program.precision:
        specs = jax.eval_shape(program.call, program.cast(moving), program.cast(fixed))[0]
        u = [rng.standard_normal(spec.shape) for spec in specs]
        run = jax.jit(program.value_and_pullback)
        alone = run(program.cast(moving), program.cast(fixed), u)
        rows = batch.rows * len(devices)
        together = run(
            _placed(program.cast(moving), batch.moving, spread, whole),
            _placed(program.cast(fixed), batch.fixed, spread, whole),
            _placed(u, [x.shape[:1] == (rows,) for x in u], spread, whole),
        )
        results = [Result(*jax.tree.map(to_host, found)) for found in (together, alone)]
    return compare("sharded = unsharded", program, results[0], results[1], "reduction"), ""


def _placed(
    leaves: Leaves, carries: list[bool], spread: NamedSharding, whole: NamedSharding
) -> list[jax.Array]:
    return [jax.device_put(x, spread if on else whole) for x, on in zip(leaves, carries, strict=True)]
