"""Seconds for a steady epoch of the perceptron 784-512-512-10: dropout 0.2, RMSprop 1e-3, batches of 128."""

from benchmarks import _mlp_jax_peers as peers
from benchmarks._classify import Work
from benchmarks._mlp_ours import fit, flops, products
from benchmarks._mlp_torch import torch
from benchmarks._row import Contender, Row

CONTENDERS = (
    Contender("jaxnn", fit, ("jaxnn", "jax", "jaxlib")),
    Contender("Flax linen", peers.flax_linen, ("flax", "jax", "optax")),
    Contender("Flax nnx", peers.flax_nnx, ("flax", "jax", "optax")),
    Contender("Equinox", peers.equinox, ("equinox", "jax", "optax")),
    Contender("Haiku", peers.haiku, ("dm-haiku", "jax", "optax")),
    Contender("Keras on JAX", peers.keras, ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
    Contender("PyTorch", torch, ("torch",)),
)
PRODUCTS = Contender("matrix products alone", products, ("jax", "jaxlib"))

ROW = Row(
    title="MNIST MLP 784-512-512-10, dropout 0.2, RMSprop, batch 128: a steady epoch",
    unit="s/epoch",
    sizes={"full": Work(), "tiny": Work(examples=300, hidden=16)},
    contenders=(*CONTENDERS, PRODUCTS),
    floor=PRODUCTS.name,
    flops=flops,
    uses_pictures=True,
)
