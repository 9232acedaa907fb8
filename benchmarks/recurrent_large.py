"""Milliseconds for a training step of two LSTM layers of 512, batches of 64 sequences of 128 steps."""

from benchmarks._recurrent_work import CONTENDERS, Work
from benchmarks._row import Row

ROW = Row(
    title="2-layer LSTM, batch 64, 128 steps, 512 features: a training step",
    unit="ms/step",
    sizes={
        "full": Work(batch=64, time=128, features=512, steps=2),
        "tiny": Work(batch=2, time=3, features=4, steps=2),
    },
    contenders=CONTENDERS,
    per_lap=lambda work: 1e3 / work.steps,
)
