"""Milliseconds for a step of the MNIST network of two convolutions: dropout, Adadelta, batches of 128."""

from benchmarks import _cnn
from benchmarks._classify import Work
from benchmarks._row import Contender, Row

ROW = Row(
    title="MNIST CNN (32-64 3x3 valid, pool, 128), dropout, Adadelta, batch 128: a step",
    unit="ms/step",
    sizes={"full": Work(examples=128 * 30, steps=30), "tiny": Work(examples=24, batch=8, steps=2)},
    contenders=(
        Contender("jaxnn", _cnn.jaxnn, ("jaxnn", "jax", "jaxlib")),
        Contender("Flax nnx", _cnn.flax_nnx, ("flax", "jax", "optax")),
        Contender("PyTorch", _cnn.torch, ("torch",)),
    ),
    per_lap=lambda work: 1e3 / work.steps,
    uses_pictures=True,
)
