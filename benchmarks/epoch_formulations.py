"""What each formulation inside the compiled epoch is worth: plain JAX, one part changed at a time."""

from benchmarks._formulation import Formulation
from benchmarks._row import Contender, Row
from benchmarks.mlp_epoch import PRODUCTS
from benchmarks.mlp_epoch import ROW as EPOCH

_PACKAGES = ("jax", "jaxlib")

ROW = Row(
    title="The epoch of the perceptron in plain JAX, one part changed at a time",
    unit="s/epoch",
    sizes=EPOCH.sizes,
    contenders=(
        Contender("all parts at their fastest", Formulation(), _PACKAGES),
        Contender("a scan of fixed length", Formulation(loop="scan"), _PACKAGES),
        Contender("all data shuffled before the epoch", Formulation(batches="shuffle"), _PACKAGES),
        Contender("`jax.random.permutation`", Formulation(order="permutation"), _PACKAGES),
        Contender("updates not ordered after the gradients", Formulation(dependent=False), _PACKAGES),
        Contender("labels picked by a gather", Formulation(labels="gather"), _PACKAGES),
        Contender("threefry of JAX's own loop", Formulation(bits="primitive"), _PACKAGES),
        Contender("`jax.random.bits` of 16 bits", Formulation(bits="random.bits"), _PACKAGES),
        Contender("no donation", Formulation(donate=False), _PACKAGES),
        Contender("no dropout", Formulation(bits=None), _PACKAGES),
        Contender("plain descent", Formulation(rule="sgd"), _PACKAGES),
        PRODUCTS,
    ),
    floor=PRODUCTS.name,
    flops=EPOCH.flops,
    uses_pictures=True,
)
