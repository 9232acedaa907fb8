"""Every rule and form of the package, its oracle, and the rule of optax that it stands for."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn import optim
from tests.optim import oracles


@dataclass(frozen=True)
class Case:
    """One rule in one form, with the options that it is tested at."""

    rule: str
    oracle: Callable[..., np.ndarray]
    options: dict[str, Any] = field(default_factory=dict)
    hyper: dict[str, Any] = field(default_factory=dict)  # of the oracle
    peer: Callable[..., Any] | None = None  # optax's rule
    elementwise: bool = True
    decays: bool = False

    @property
    def id(self) -> str:
        return "-".join([self.rule, *(f"{k}={v}" for k, v in self.options.items())])

    def make(self, rate: Any, **more: Any) -> optax.GradientTransformationExtraArgs:
        return getattr(optim, self.rule)(rate, **self.options, **more)

    def make_peer(self, rate: Any) -> optax.GradientTransformation:
        return self.peer(rate, **self.options)

    def without_decay(self) -> "Case":
        """Return the same case, with no force on parameters that have no gradient."""
        if not self.decays:
            return self
        name, none = ("weight_decay_rate", None) if self.rule == "adafactor" else ("weight_decay", 0.0)
        options, hyper = {**self.options, name: none}, {**self.hyper, "weight_decay": none}
        return replace(self, options=options, hyper=hyper)


def forms(rule: str, peer: Callable[..., Any], **found: Any) -> list[Case]:
    """Return one case for each form; the default, optax's, is named nowhere."""
    cases = []
    for form, (oracle, hyper) in found.items():
        options = {} if form == "optax" else {"form": form}
        cases.append(Case(rule, oracle, options, hyper, peer if form == "optax" else None))
    return cases


CASES = [
    Case("sgd", oracles.sgd, peer=optax.sgd),
    Case("momentum", oracles.momentum, peer=partial(optax.sgd, momentum=0.9)),
    *forms(
        "nesterov",
        partial(optax.sgd, momentum=0.9, nesterov=True),
        optax=(oracles.nesterov_torch, {}),
        torch=(oracles.nesterov_torch, {}),
        keras=(oracles.nesterov_keras, {}),
        paper=(oracles.nesterov_paper, {}),
    ),
    *forms(
        "adagrad",
        optax.adagrad,
        optax=(oracles.adagrad_keras, {}),
        torch=(oracles.adagrad_torch, {}),
        keras=(oracles.adagrad_keras, {}),
        paper=(oracles.adagrad_paper, {}),
    ),
    *forms(
        "adadelta",
        optax.adadelta,
        optax=(oracles.adadelta, {}),
        torch=(oracles.adadelta, {}),
        keras=(oracles.adadelta, {"rho": 0.95, "eps": 1e-7}),
        paper=(oracles.adadelta, {"rho": 0.95}),
    ),
    *forms(
        "rmsprop",
        optax.rmsprop,
        optax=(oracles.rmsprop_keras, {"eps": 1e-8}),
        torch=(oracles.rmsprop_torch, {}),
        keras=(oracles.rmsprop_keras, {}),
        paper=(oracles.rmsprop_paper, {}),
    ),
    Case(
        "rmsprop",
        oracles.rmsprop_keras,
        options := {"momentum": 0.9, "nesterov": True},
        {"eps": 1e-8, **options},
        optax.rmsprop,
    ),
    Case(
        "rmsprop", oracles.rmsprop_keras, {"centered": True}, {"eps": 1e-8, "centered": True}, optax.rmsprop
    ),
    Case(
        "rmsprop",
        oracles.rmsprop_torch,
        {"form": "torch", "momentum": 0.9, "centered": True},
        {"momentum": 0.9, "centered": True},
    ),
    Case("rmsprop", oracles.rmsprop_keras, {"form": "keras", "momentum": 0.9}, {"momentum": 0.9}),
    *forms(
        "rprop",
        optax.rprop,
        optax=(oracles.rprop_optax, {}),
        torch=(oracles.rprop_torch, {}),
        paper=(oracles.rprop_paper, {}),
    ),
    *forms(
        "adam",
        optax.adam,
        optax=(oracles.adam, {}),
        torch=(oracles.adam, {}),
        keras=(oracles.adam_keras, {}),
        paper=(oracles.adam, {}),
    ),
    Case(
        "adam",
        oracles.adam,
        options := {"b1": 0.8, "b2": 0.99, "eps": 1e-6, "eps_root": 1e-10},
        options,
        optax.adam,
    ),
    *(
        replace(case, decays=True)
        for case in forms(
            "adamw",
            optax.adamw,
            optax=(oracles.adamw, {}),
            torch=(oracles.adamw, {"weight_decay": 0.01}),
            keras=(oracles.adamw_keras, {}),
        )
    ),
    *forms(
        "adamax",
        optax.adamax,
        optax=(oracles.adamax, {}),
        torch=(oracles.adamax, {}),
        keras=(oracles.adamax_keras, {}),
        paper=(oracles.adamax_paper, {}),
    ),
    *forms(
        "nadam",
        optax.nadam,
        optax=(oracles.nadam_optax, {}),
        torch=(oracles.nadam_torch, {}),
        keras=(oracles.nadam_keras, {}),
        paper=(oracles.nadam_paper, {}),
    ),
    *forms(
        "amsgrad",
        optax.amsgrad,
        optax=(oracles.amsgrad_optax, {}),
        torch=(oracles.amsgrad_torch, {}),
        keras=(oracles.amsgrad_keras, {}),
        paper=(oracles.amsgrad_paper, {}),
    ),
    Case("lion", oracles.lion, peer=optax.lion, decays=True),
    *forms(
        "radam",
        optax.radam,
        optax=(oracles.radam, {}),
        torch=(oracles.radam_torch, {}),
        paper=(oracles.radam_paper, {}),
    ),
    Case("adabelief", oracles.adabelief, peer=optax.adabelief),
    Case("yogi", oracles.yogi, peer=optax.yogi),
    Case("lamb", oracles.lamb, peer=optax.lamb, elementwise=False),
    Case(
        "lamb",
        oracles.lamb,
        options := {"weight_decay": 0.1},
        options,
        optax.lamb,
        elementwise=False,
        decays=True,
    ),
    Case("lars", oracles.lars, peer=optax.lars, elementwise=False),
    Case(
        "lars",
        oracles.lars,
        options := {"weight_decay": 0.1, "nesterov": True},
        options,
        optax.lars,
        elementwise=False,
        decays=True,
    ),
    Case("adafactor", oracles.adafactor, peer=optax.adafactor, elementwise=False),
    Case(
        "adafactor",
        oracles.adafactor,
        {"min_dim_size_to_factor": 3, "weight_decay_rate": 0.01},
        {"shortest": 3, "weight_decay": 0.01},
        optax.adafactor,
        elementwise=False,
        decays=True,
    ),
    Case(
        "adafactor",
        oracles.adafactor,
        {"min_dim_size_to_factor": 3, "momentum": 0.9},
        {"shortest": 3, "momentum": 0.9},
        elementwise=False,
    ),
    Case("muon", oracles.muon, peer=optax.contrib.muon, elementwise=False),
    Case(
        "muon",
        oracles.muon,
        {"weight_decay": 0.1, "consistent_rms": 0.2},
        {"weight_decay": 0.1, "rms": 0.2},
        optax.contrib.muon,
        elementwise=False,
        decays=True,
    ),
]
RULES = sorted({case.rule for case in CASES})
STEPS = 50


def tree(seed: int, scale: float = 1.0, steps: int | None = None, dtype: Any = np.float64) -> Any:
    """Return a tree of normal numbers: a matrix, a leaf of three axes, a scalar and a ``None``."""
    rng = np.random.default_rng(seed)
    lead = () if steps is None else (steps,)

    def leaf(*shape: int) -> np.ndarray:
        return (scale * rng.standard_normal((*lead, *shape))).astype(dtype)

    return {"dense": {"kernel": leaf(5, 4), "bias": None}, "conv": [leaf(2, 3, 4)], "scale": leaf()}


def schedule(rate: Any) -> Callable[[jax.Array], jax.Array]:
    """Return a rate that halves every ten steps: it shows on which side of the momentum a rule has it."""
    return lambda step: rate * 0.5 ** (jnp.asarray(step, jnp.result_type(float)) / 10)


def follow(case: Case, params: Any, gradients: Any, rate: float, constant: bool = False) -> Any:
    """Return the updates of a case's oracle, stacked over the steps, and let the parameters go with them."""

    def leaf(p: np.ndarray, gs: np.ndarray) -> np.ndarray:
        p, slots, updates = np.asarray(p, np.float64), {}, []
        for t, g in enumerate(np.asarray(gs, np.float64), start=1):
            now = rate if constant or case.rule == "rprop" else rate * 0.5 ** ((t - 1) / 10)
            update = case.oracle(t, g, p, slots, now, **case.hyper)
            p = p + update
            updates.append(update)
        return np.stack(updates)

    return jax.tree.map(leaf, params, gradients)


def distance(found: Any, wanted: Any, each_step: bool = True) -> float:
    """Return the largest difference relative to the norm, over leaves and, unless told otherwise, steps."""

    def leaf(a: Any, b: Any) -> float:
        a, b = (np.asarray(x, np.float64).reshape(len(x) if each_step else 1, -1) for x in (a, b))
        norms, gaps = np.linalg.norm(b, axis=1), np.linalg.norm(a - b, axis=1)
        return float(
            np.max(np.where(gaps == 0, 0.0, gaps / np.where(norms == 0, np.finfo(float).tiny, norms)))
        )

    return max(jax.tree.leaves(jax.tree.map(leaf, found, wanted)))
