"""Seconds from the start of a process to the end of its first epoch, compile cache empty and full."""

from benchmarks._row import Row
from benchmarks.mlp_epoch import CONTENDERS
from benchmarks.mlp_epoch import ROW as EPOCH

ROW = Row(
    title="The same, whole process: start, import, read the data, compile, first epoch",
    unit="s",
    sizes=EPOCH.sizes,
    contenders=CONTENDERS,
    uses_pictures=True,
    laps="process",
    variants=("cold", "warm"),
    note=(
        "Warm: JAX's persistent compilation cache is on, with no lower bound on compile time, and filled; "
        "PyTorch compiles nothing."
    ),
)
