"""The two players of a generative adversarial network (Goodfellow et al., 2014, arXiv:1406.2661).

The discriminator tells real examples from generated ones: ``D(x) = sigmoid(logit)`` is the probability that
it gives to "real", and it maximises the *value* ``E ln D(x) + E ln(1 - D(G(z)))``. The generator wants the
opposite. For a given generator the best discriminator is ``p(x) / (p(x) + q(x))`` with the densities ``p``
of the data and ``q`` of what is generated, and its value ``2 JS(p, q) - ln 4``, where ``JS`` (nats) is the
Jensen-Shannon divergence. It is least where ``q = p``: then ``D`` is 1/2 everywhere and the value ``-ln
4``.

The generator minimises ``-E ln D(G(z))``, the paper's own replacement of ``E ln(1 - D(G(z)))``, which has
the same equilibrium, but a slope also where the discriminator is sure (the *non-saturating* loss).
"""

from typing import Any

import jax
import jax.numpy as jnp

import jaxnn as nn
from jaxnn import metrics
from jaxnn.train import Objective, Terms

EQUILIBRIUM_VALUE = -1.3862943611198906  # -ln 4, in nats


def value(real_logits: Any, fake_logits: Any) -> Any:
    """``ln D(x) + ln(1 - D(G(z)))`` of each pair, in nats."""
    return jax.nn.log_sigmoid(real_logits) + jax.nn.log_sigmoid(-fake_logits)


def discriminator_objective(discriminator: nn.Layer, penalty: float = 0.0) -> Objective:
    """The loss of the discriminator; batches are ``{"real": [batch, ...], "fake": [batch, ...]}``.

    Besides the loss a record has ``value``, ``output`` (the mean probability that it gives to "real", over
    both kinds) and ``right`` (the share of the examples that it tells right).

    Args:
        discriminator: ``[batch, ...] -> [batch, 1]`` logits.
        penalty: half of it times the squared slope of the logit by each real example is added (R1 of
            Mescheder et al., 2018, arXiv:1801.04406). Without it the two players circle around the
            equilibrium; with it they come to rest there, and as the slope is zero at the equilibrium, it does
            not move it.
    """

    def init(key: Any, batch: Any) -> tuple[Any, Any]:
        return discriminator.init(key, batch["real"])

    def evaluate(
        params: Any, state: Any, batch: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Any]:
        keys = _two(key)

        def logits(examples: Any, key: Any) -> Any:
            return discriminator.apply(params, state, examples, key=key, train=train)[0][:, 0]

        if penalty:
            real, back = jax.vjp(lambda examples: logits(examples, keys[0]), batch["real"])
            slope = back(jnp.ones_like(real))[0]
            steep = jnp.sum(slope**2, axis=tuple(range(1, slope.ndim)))
        else:
            real, steep = logits(batch["real"], keys[0]), jnp.zeros(len(batch["real"]))
        fake = logits(batch["fake"], keys[1])
        told = {
            "value": value(real, fake),
            "output": (jax.nn.sigmoid(real) + jax.nn.sigmoid(fake)) / 2,
            "right": ((real > 0).astype(jnp.float32) + (fake < 0).astype(jnp.float32)) / 2,
        }
        aux = {name: metrics.Mean.of(values) for name, values in told.items()}
        return Terms(penalty / 2 * steep - told["value"], None, aux), state

    return Objective(init, evaluate)


def generator_objective(generator: nn.Layer, discriminator: nn.Layer) -> Objective:
    """The non-saturating loss of the generator.

    Batches are ``{"noise": [batch, ...], "discriminator": its params}``; the discriminator has no state.
    """

    def init(key: Any, batch: Any) -> tuple[Any, Any]:
        return generator.init(key, batch["noise"])

    def evaluate(
        params: Any, state: Any, batch: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Any]:
        first, second = _two(key)
        made, state = generator.apply(params, state, batch["noise"], key=first, train=train)
        logits, _ = discriminator.apply(batch["discriminator"], {}, made, key=second, train=train)
        return Terms(-jax.nn.log_sigmoid(logits[:, 0])), state

    return Objective(init, evaluate)


def _two(key: Any) -> Any:
    """Keys for two calls, or none for both."""
    return (None, None) if key is None else jax.random.split(key)
