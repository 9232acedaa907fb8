"""Milliseconds for a training step of a character transformer: 4 layers of 256, 16 sequences of 128."""

from benchmarks._row import Row
from benchmarks._transformer_work import CONTENDERS, Work

ROW = Row(
    title="Character transformer, 4 layers of 256 (8 heads), 16 sequences of 128, AdamW: a training step",
    unit="ms/step",
    sizes={
        "full": Work(),
        "tiny": Work(batch=2, time=5, features=8, heads=2, layers=2, vocabulary=7, steps=2),
    },
    contenders=CONTENDERS,
    per_lap=lambda work: 1e3 / work.steps,
)
