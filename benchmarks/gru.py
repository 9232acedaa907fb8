"""Milliseconds for a training step of two GRU layers of 128, batches of 50 sequences of 50 steps."""

from benchmarks._recurrent_work import CONTENDERS, Work
from benchmarks._row import Row

ROW = Row(
    title="2-layer GRU, batch 50, 50 steps, 128 features: a training step",
    unit="ms/step",
    sizes={"full": Work(cell="gru"), "tiny": Work(batch=2, time=3, features=4, steps=2, cell="gru")},
    contenders=CONTENDERS,
    per_lap=lambda work: 1e3 / work.steps,
    note="Each library's own form: the reset gate stands before the recurrent product in Haiku, after it elsewhere.",
)
