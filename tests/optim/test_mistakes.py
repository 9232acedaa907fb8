"""Mistakes are named: the rule, the argument or the leaf's path, and what to do."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import optim
from tests.optim.cases import RULES

PARAMS = {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), np.float32(-1.0), jnp.asarray(-1.0)])
def test_a_rate_out_of_range(rule: str, rate) -> None:
    with pytest.raises(ValueError, match=f"{rule}: learning_rate must be"):
        getattr(optim, rule)(rate)


@pytest.mark.parametrize("rule", RULES)
def test_a_rate_that_is_no_number(rule: str) -> None:
    with pytest.raises(TypeError, match=f"{rule}: learning_rate must be a number or a schedule"):
        getattr(optim, rule)("0.1")
    with pytest.raises(ValueError, match=f"{rule}: learning_rate must be a scalar, got shape"):
        getattr(optim, rule)(jnp.ones(3))
    with pytest.raises(TypeError, match=f"{rule}: learning_rate must be a number"):
        getattr(optim, rule)([0.1, "x"])


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        ("adam", {"b1": 1.0}, "adam: b1 must be in [0, 1), got 1.0"),
        ("adam", {"b2": -0.1}, "adam: b2 must be in [0, 1)"),
        ("adam", {"eps": -1e-8}, "adam: eps must be zero or more"),
        ("adamw", {"weight_decay": -1.0}, "adamw: weight_decay must be zero or more"),
        ("momentum", {"momentum": 1.5}, "momentum: momentum must be in [0, 1)"),
        ("rmsprop", {"decay": float("nan")}, "rmsprop: decay must be finite, got nan"),
        ("rmsprop", {"nesterov": True}, "rmsprop: nesterov=True needs momentum; pass momentum=0.9"),
        ("sgd", {"nesterov": True}, "sgd: nesterov=True needs momentum; pass momentum=0.9"),
        ("radam", {"threshold": 3.0}, "radam: threshold must be at least 4"),
        ("rprop", {"max_step_size": 0.0}, "rprop: max_step_size must be above zero"),
        (
            "adagrad",
            {"initial_accumulator_value": -1.0},
            "adagrad: initial_accumulator_value must be zero or more",
        ),
        ("adafactor", {"min_dim_size_to_factor": 0}, "adafactor: min_dim_size_to_factor must be at least 1"),
        ("muon", {"ns_steps": 0}, "muon: ns_steps must be at least 1"),
        ("muon", {"ns_coeffs": (1.0, 2.0)}, "muon: ns_coeffs must be three numbers"),
    ],
)
def test_hyper_parameters_out_of_range(rule: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(optim, rule)(0.1, **options)


@pytest.mark.parametrize(
    "rule",
    ["nesterov", "adagrad", "adadelta", "rmsprop", "rprop", "nadam", "amsgrad", "adam", "adamax", "radam"],
)
def test_an_unknown_form(rule: str) -> None:
    with pytest.raises(
        ValueError, match=f"{rule}: unknown form 'pytorch', .*'paper', .*; did you mean 'torch'"
    ):
        getattr(optim, rule)(0.1, form="pytorch")
    with pytest.raises(ValueError, match=f"{rule}: unknown form 3"):
        getattr(optim, rule)(0.1, form=3)


def test_a_form_that_a_rule_does_not_have() -> None:
    with pytest.raises(
        ValueError, match="radam: unknown form 'keras', expected one of 'optax', 'paper', 'torch'"
    ):
        optim.radam(0.1, form="keras")
    with pytest.raises(
        ValueError, match="adamw: unknown form 'paper', expected one of 'optax', 'torch', 'keras'"
    ):
        optim.adamw(0.1, form="paper")


@pytest.mark.parametrize("rule", RULES)
def test_trees_that_differ(rule: str) -> None:
    transform = getattr(optim, rule)(0.1)
    state = transform.init(PARAMS)
    fewer = {"dense": {"kernel": jnp.ones((2, 3))}}
    more = {"dense": {**PARAMS["dense"], "scale": jnp.ones(3)}}
    other = {"dense": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(3)}}
    with pytest.raises(
        ValueError, match=re.escape(f"{rule}: ") + r".*params\['dense'\]\['bias'\], of which there is no"
    ):
        transform.update(fewer, state, PARAMS)
    with pytest.raises(
        ValueError, match=r"there is a gradient of params\['dense'\]\['scale'\], which params lacks"
    ):
        transform.update(more, state, PARAMS)
    with pytest.raises(
        ValueError, match=r"gradient of params\['dense'\]\['kernel'\] has shape \(3, 2\), .*\(2, 3\)"
    ):
        transform.update(other, state, PARAMS)
    if rule != "sgd":  # sgd keeps nothing of the shape of its parameters
        for tree in (fewer, more, other):
            with pytest.raises(ValueError, match=f"{rule}: .*state"):
                transform.update(tree, state, tree)


@pytest.mark.parametrize("rule", RULES)
def test_leaves_that_are_not_real_numbers(rule: str) -> None:
    transform = getattr(optim, rule)(0.1)
    message = r"params\['steps'\] has dtype int32, expected real floating point; .*optax.masked"
    with pytest.raises(TypeError, match=f"{rule}: the parameter {message}"):
        transform.init({"steps": jnp.arange(3)})
    with pytest.raises(TypeError, match=f"{rule}: the gradient of {message}"):
        transform.update(
            {"steps": jnp.arange(3)}, transform.init({"steps": jnp.ones(3)}), {"steps": jnp.ones(3)}
        )
    with pytest.raises(TypeError, match=f"{rule}: the parameter .*complex64"):
        transform.init({"phase": jnp.ones(3, jnp.complex64)})


@pytest.mark.parametrize("rule", ["adamw", "lion", "lamb", "lars", "adafactor", "muon"])
def test_parameters_that_are_needed(rule: str) -> None:
    transform = getattr(optim, rule)(0.1)
    with pytest.raises(
        ValueError, match=rf"{rule}: params are missing.*call update\(gradients, state, params\)"
    ):
        transform.update(PARAMS, transform.init(PARAMS))


def test_wrappers() -> None:
    with pytest.raises(TypeError, match="skip_nonfinite: inner must be an"):
        optim.skip_nonfinite(optim.sgd)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="accumulate: inner must be"):
        optim.accumulate(0.1, 2)  # type: ignore[arg-type]
    for every in (0, -1):
        with pytest.raises(ValueError, match="accumulate: every must be at least 1"):
            optim.accumulate(optim.sgd(0.1), every)
    for every in (2.0, True):
        with pytest.raises(TypeError, match="accumulate: every must be an integer"):
            optim.accumulate(optim.sgd(0.1), every)  # type: ignore[arg-type]
    rule = optim.accumulate(optim.sgd(0.1), 2)
    with pytest.raises(ValueError, match="accumulate: weight must be zero or more"):
        rule.update(jnp.ones(1), rule.init(jnp.ones(1)), weight=-1.0)
    with pytest.raises(ValueError, match=r"accumulate: .*the state"):
        rule.update({"a": jnp.ones(1)}, rule.init({"b": jnp.ones(1)}))


def test_what_decides_a_shape_cannot_be_traced() -> None:
    rule = optax.inject_hyperparams(optim.muon)(learning_rate=0.1, ns_steps=3)
    with pytest.raises(TypeError, match=r"muon: ns_steps decides shapes or loops .*static_args"):
        jax.jit(rule.update)(PARAMS, rule.init(PARAMS), PARAMS)


def test_a_traced_rate_passes() -> None:
    for rate in (-1.0, float("nan")):
        jax.jit(lambda rate: optim.sgd(rate).update(PARAMS, optim.sgd(rate).init(PARAMS))[0])(rate)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("adamw", "mask"),
        ("lion", "mask"),
        ("lamb", "mask"),
        ("lars", "weight_decay_mask"),
        ("lars", "trust_ratio_mask"),
        ("muon", "weight_decay_mask"),
        ("adafactor", "weight_decay_mask"),
    ],
)
def test_a_mask_of_another_structure_is_named(rule: str, name: str) -> None:
    params = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    more = {"weight_decay_rate": 0.1} if rule == "adafactor" else {}

    def update(mask):
        transform = getattr(optim, rule)(0.1, **{name: mask}, **more)
        return transform.update(params, transform.init(params), params)

    with pytest.raises(ValueError, match=rf"^{rule}: {name} must be a tree of bools like the parameters"):
        update({"kernel": True, "offset": False})
    with pytest.raises(
        TypeError, match=rf"^{rule}: {name} must hold True or False, got 'decay' for params\['b"
    ):
        update({"kernel": True, "bias": "decay"})
    with pytest.raises(TypeError, match=rf"^{rule}: {name} must hold True or False.*bias'\]; pass bools$"):
        update({"kernel": True, "bias": np.int64(1)})
    with pytest.raises(TypeError, match=rf"^{rule}: {name} must hold True or False.*cannot be traced"):
        jax.jit(lambda flag: update({"kernel": flag, "bias": True})[0])(True)
    update(True)


def test_adafactor_before_its_decay_is_counted() -> None:
    """The second moment is the last square until the offset, and then that of a run that begins there."""
    p, gradients = jnp.ones(3), [jnp.asarray([1.0, -2.0, 4.0]) * scale for scale in (1.0, 3.0, 0.5, 2.0)]
    options = {"multiply_by_parameter_scale": False, "clipping_threshold": None}
    late, plain = optim.adafactor(1.0, decay_offset=2, **options), optim.adafactor(1.0, **options)
    state, other = late.init(p), plain.init(p)
    for g in gradients[:2]:
        update, state = late.update(g, state, p)
        np.testing.assert_allclose(update, -jnp.sign(g), rtol=1e-6)
    for g in gradients[2:]:
        update, state = late.update(g, state, p)
        wanted, other = plain.update(g, other, p)
        np.testing.assert_allclose(update, wanted, rtol=1e-6)


@jax.tree_util.register_pytree_with_keys_class
class Module:
    """A tree that is callable, as a module of other libraries is."""

    def __init__(self, kernel, bias):
        self.kernel, self.bias = kernel, bias

    def __call__(self, x):
        raise AssertionError("a mask that is a tree must not be called")

    def tree_flatten_with_keys(self):
        key = jax.tree_util.GetAttrKey
        return ((key("kernel"), self.kernel), (key("bias"), self.bias)), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


def _kernels_alone(params):
    return jax.tree.map(lambda p: jnp.ndim(p) > 1, params)


MASKS = {
    "a callable tree": (Module(True, False), Module),
    "a callable tree, traced before": (jax.tree.map(np.bool_, Module(True, False)), Module),
    "a dict": ({"kernel": True, "bias": False}, dict),
    "a function": (_kernels_alone, dict),
    "a function of a callable tree": (_kernels_alone, Module),
    "bound arguments": (jax.tree_util.Partial(lambda least, p: _kernels_alone(p), 2), dict),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(
    ("rule", "argument"),
    [("adamw", "mask"), ("lion", "mask"), ("lamb", "mask"), ("lars", "weight_decay_mask"),
     ("muon", "weight_decay_mask"), ("adafactor", "weight_decay_mask")],
)  # fmt: skip
def test_a_mask_is_called_only_where_optax_calls_it(name: str, rule: str, argument: str) -> None:
    mask, make = MASKS[name]
    params = make(kernel=jnp.ones((3, 3)), bias=jnp.ones(3))
    grads = jax.tree.map(jnp.zeros_like, params)
    decay = "weight_decay_rate" if rule == "adafactor" else "weight_decay"
    transform = getattr(optim, rule)(0.1, **{decay: 0.5, argument: mask})
    updates, _ = transform.update(grads, transform.init(params), params)
    moved = [bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(updates)]
    wanted = mask if name != "bound arguments" else _kernels_alone
    theirs = optax.add_decayed_weights(0.5, mask=wanted)
    expected, _ = theirs.update(grads, theirs.init(params), params)
    assert moved == [bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(expected)]


def test_a_tree_of_functions_is_no_mask() -> None:
    params = {"kernel": jnp.ones(2)}
    rule = optim.adamw(0.1, mask={"kernel": lambda p: True})
    with pytest.raises(
        TypeError, match=r"adamw: mask must hold .*, got <function .* for params\['kernel'\]; pass bools"
    ):
        rule.update(params, rule.init(params), params)
