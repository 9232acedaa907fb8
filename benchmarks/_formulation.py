"""The perceptron's epoch in plain JAX, each part in the formulation that is asked for."""

from dataclasses import dataclass
from typing import Any

from benchmarks._classify import Work, pictures
from benchmarks._row import Laps


@dataclass(frozen=True)
class Formulation:
    """Which formulation each part takes; the defaults are the fastest found on a CPU.

    Attributes:
        bits: of dropout: ``"unrolled"``: threefry in one kernel, all 64 bits of a block used;
            ``"primitive"``: the same words from JAX's own loop; ``"random.bits"``: a block an entry;
            ``None``: no dropout.
        batches: ``"gather"`` rows at each step, or ``"shuffle"`` a copy of all data first.
        order: ``"sort"`` random words once, or ``"permutation"``, which sorts twice.
        labels: ``"compare"`` with all classes, or ``"gather"``, whose gradient is a scatter.
        dependent: whether every update waits for all gradients, which spares copies of the weights.
        rule: ``"rmsprop"`` or ``"sgd"``.
        loop: ``"dynamic"`` bounds, or ``"scan"`` of a fixed length.
        donate: whether the weights are updated in place from one epoch to the next.
    """

    bits: str | None = "unrolled"
    batches: str = "gather"
    order: str = "sort"
    labels: str = "compare"
    dependent: bool = True
    rule: str = "rmsprop"
    loop: str = "dynamic"
    donate: bool = True

    def __call__(self, work: Work, laps: Laps) -> None:
        """Train, lap after lap."""
        import jax
        import jax.numpy as jnp

        x, y = jax.device_put(pictures(work))
        sizes = (784, work.hidden, work.hidden, 10)
        keys = jax.random.split(jax.random.key(0), 3)
        params = [
            (jax.random.normal(k, (i, o)) * i**-0.5, jnp.zeros(o))
            for k, i, o in zip(keys, sizes, sizes[1:], strict=False)
        ]
        nu = jax.tree.map(jnp.zeros_like, params)
        epoch = jax.jit(self._epoch(work), donate_argnums=(0, 1) if self.donate else ())
        steps = -(-work.examples // work.batch)
        index = 0
        while True:
            params, nu, loss = epoch(params, nu, jax.random.key(index), x, y, 0, steps)
            index += 1
            laps(float(loss) / work.examples)

    def _epoch(self, work: Work) -> Any:
        import jax
        import jax.numpy as jnp

        full, rest = divmod(work.examples, work.batch)

        def epoch(params: Any, nu: Any, key: Any, x: Any, y: Any, start: Any, stop: Any) -> Any:
            order = self._order(key, work.examples)
            if self.batches == "shuffle":
                x, y = x[order], y[order]

            def body(index: Any, carry: Any, size: int = work.batch) -> Any:
                params, nu, total = carry
                at = index * work.batch
                if self.batches == "shuffle":
                    images, labels = (jax.lax.dynamic_slice_in_dim(a, at, size) for a in (x, y))
                else:
                    chosen = jax.lax.dynamic_slice_in_dim(order, at, size)
                    images, labels = (a.at[chosen].get(mode="clip") for a in (x, y))
                step_key = jax.random.fold_in(key, index)
                loss, grads = jax.value_and_grad(self._loss)(params, images, labels, step_key, work)
                params, nu = self._update(params, nu, grads, work.learning_rate)
                return params, nu, total + loss * size

            carry = (params, nu, jnp.zeros(()))
            if self.loop == "scan":
                carry, _ = jax.lax.scan(lambda c, i: (body(i, c), None), carry, jnp.arange(full))
            else:
                carry = jax.lax.fori_loop(start, jnp.minimum(stop, full), body, carry)
            if rest:
                last = lambda index, carry: body(index, carry, rest)  # noqa: E731
                carry = jax.lax.fori_loop(full, jnp.maximum(stop, full), last, carry)
            return carry

        return epoch

    def _order(self, key: Any, n: int) -> Any:
        import jax
        import jax.numpy as jnp

        if self.order == "permutation":
            return jax.random.permutation(key, n)
        return jax.lax.sort_key_val(jax.random.bits(key, (n,)), jnp.arange(n, dtype=jnp.int32))[1]

    def _loss(self, params: Any, x: Any, y: Any, key: Any, work: Work) -> Any:
        import jax
        import jax.numpy as jnp

        *hidden, (kernel, bias) = params
        for number, (weights, offset) in enumerate(hidden):
            x = jax.nn.relu(x @ weights + offset[None])
            if self.bits is not None:
                keep = _bits(self.bits, jax.random.fold_in(key, number), x.shape)
                x = jnp.where(keep >= round(work.rate * 2**16), x / (1 - work.rate), 0)
        logits = x @ kernel + bias[None]
        if self.labels == "gather":
            picked = jnp.take_along_axis(logits, y[:, None], 1)[:, 0]
        else:
            picked = jnp.sum(jnp.where(jnp.arange(10)[None] == y[:, None], logits, 0), 1)
        return jnp.mean(jax.nn.logsumexp(logits, -1) - picked)

    def _update(self, params: Any, nu: Any, grads: Any, rate: float) -> Any:
        import jax
        import jax.numpy as jnp

        if self.dependent:
            total = sum(leaf.ravel()[0] for leaf in jax.tree.leaves(grads))
            zero = jnp.where(jnp.isfinite(total), total, 0) * 0
            grads = jax.tree.map(lambda g: g + zero, grads)
        if self.rule == "sgd":
            return jax.tree.map(lambda p, g: p - rate * g, params, grads), nu
        nu = jax.tree.map(lambda n, g: 0.9 * n + 0.1 * g * g, nu, grads)
        step = lambda p, n, g: p - rate * g * jax.lax.rsqrt(n + 1e-8)  # noqa: E731
        return jax.tree.map(step, params, nu, grads), nu


def _bits(kind: str, key: Any, shape: tuple[int, ...]) -> Any:
    """Return uniform uint16 of a shape."""
    import jax
    import jax.numpy as jnp
    from jax.extend.random import threefry_2x32

    if kind == "random.bits":
        return jax.random.bits(key, shape, jnp.uint16)
    count = -(-shape[0] * shape[1] // 4)
    counter = jax.lax.iota(jnp.uint32, count)
    counters = jnp.concatenate([counter, jnp.zeros_like(counter)])
    data = jax.random.key_data(key)
    words = threefry_2x32(data, counters) if kind == "primitive" else _threefry(data, counters)
    # Without the barrier the hash would be computed again in each kernel that reads a mask.
    words = jax.lax.optimization_barrier(words)
    return jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[: shape[0] * shape[1]].reshape(shape)


def _threefry(key: Any, counters: Any) -> Any:
    """Threefry-2x32 with 20 rounds (Salmon et al., 2011) written out, which becomes one kernel."""
    import jax.numpy as jnp

    a, b = jnp.split(counters, 2)
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    a, b = a + keys[0], b + keys[1]
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            a = a + b
            b = a ^ ((b << turn) | (b >> (32 - turn)))
        a, b = a + keys[(group + 1) % 3], b + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return jnp.concatenate([a, b])
