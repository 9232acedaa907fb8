"""Every error names the layer or function, what was expected, what came, and what to do."""

import jax
import jax.numpy as jnp
import pytest

import jaxnn as nn
from jaxnn import losses, metrics, train

KEY = jax.random.key(0)
X = jnp.ones((2, 4))
DENSE = nn.chain(stem=nn.chain(nn.dense(3)))


def apply(model, x, **options):
    params, state = model.init(KEY, X)
    return model.apply(params, state, x, **options)


CASES = {
    "features zero": (lambda: nn.dense(0), r"dense: features must be a positive int, got 0"),
    "features float": (lambda: nn.dense(2.5), r"dense: features must be a positive int, got float 2\.5"),
    "features bool": (lambda: nn.dense(True), r"dense: features must be a positive int, got bool True"),
    "rate one": (lambda: nn.dropout(1.0), r"dropout: rate .* must be in \[0, 1\), got 1\.0"),
    "rate nan": (lambda: nn.dropout(float("nan")), r"dropout: rate .* got nan"),
    "kernel size": (lambda: nn.conv(3, 3), r"conv: kernel_size must be a tuple of positive ints"),
    "groups": (lambda: nn.conv(3, (3, 3), groups=2), r"conv: groups must divide features"),
    "param dtype": (lambda: nn.dense(3, param_dtype=jnp.int32), r"dense: param_dtype must be a floating"),
    "wrong features": (
        lambda: apply(DENSE, jnp.ones((2, 5))),
        r"dense: expected input \[\.\.\., 4\], got float32\[2, 5\]",
    ),
    "integer input": (
        lambda: apply(DENSE, jnp.ones((2, 4), jnp.int32)),
        r"dense: expected a floating-point input.*astype",
    ),
    "scalar input": (lambda: apply(DENSE, jnp.ones(())), r"dense: expected input .* at least 1 axes"),
    "conv rank": (
        lambda: nn.conv(3, (3, 3)).init(KEY, X),
        r"conv: expected input .*got float32\[2, 4\]; add an axis",
    ),
    "raw key init": (
        lambda: DENSE.init(0, X),
        r"chain: key must be a typed random key, got int 0; .*jax\.random\.key",
    ),
    "raw key leaf": (lambda: nn.dense(3).init(0, X), r"dense: key must be a typed random key"),
    "raw key apply": (
        lambda: apply(nn.chain(nn.dropout(0.5)), X, key=jnp.zeros(2, jnp.uint32), train=True),
        r"key must be a typed random key, got uint32\[2\]",
    ),
    "key batch": (lambda: DENSE.init(jax.random.split(KEY), X), r"must be a single key"),
    "missing key": (lambda: apply(nn.chain(nn.dropout(0.5)), X, train=True), r"dropout: needs a random key"),
    "train traced": (
        lambda: jax.jit(lambda t: apply(nn.chain(nn.dense(2)), X, train=t))(True),
        r"chain: train must be a Python bool.*nn\.mode",
    ),
    "collision": (
        lambda: nn.chain(nn.dense(2).named("a"), nn.dense(2).named("a")),
        r"chain: .*more than one child: 'a'; rename with layer\.named",
    ),
    "collision with counted": (
        lambda: nn.chain(nn.dense(2), dense_0=nn.dense(2)),
        r"more than one child: 'dense_0'",
    ),
    "bad name": (lambda: nn.dense(2).named("a.b"), r"named: a name must be a Python identifier.*'a\.b'"),
    "not a layer": (
        lambda: nn.chain(nn.dense(2), 3),
        r"chain: argument 1: expected a Layer or a function.*int 3",
    ),
    "factory not called": (lambda: nn.chain(nn.flatten), r"flatten is a factory .* was not called"),
    "repeat spec": (
        lambda: nn.repeat(nn.dense(3), 2).init(KEY, X),
        r"repeat: .*float32\[2, 4\] in and float32\[2, 3\] out",
    ),
    "repeat zero": (lambda: nn.repeat(nn.dense(4), 0), r"repeat: n must be a positive int, got 0"),
    "residual shapes": (lambda: nn.residual(nn.dense(3)).init(KEY, X), r"residual: .*pass a shortcut"),
    "parallel array": (
        lambda: nn.parallel(nn.dense(3)).init(KEY, X),
        r"parallel: expected a tuple of 1 inputs",
    ),
    "parallel count": (
        lambda: nn.parallel(nn.dense(3)).init(KEY, (X, X)),
        r"parallel: expected 1 inputs.*got 2",
    ),
    "foreign params": (lambda: DENSE.apply({"x": {}}, {}, X), r"chain: params has entries for no child.*'x'"),
    "missing params": (
        lambda: DENSE.apply({}, {}, X),
        r"dense: expected params with 'kernel', 'bias', got nothing",
    ),
    "add shapes": (lambda: nn.add().apply({}, {}, (X, X[:1])), r"add: expected arrays of one shape"),
    "concatenate dtypes": (
        lambda: nn.concatenate().apply({}, {}, (X, X.astype(jnp.bfloat16))),
        r"concatenate: expected arrays of one dtype",
    ),
    "batch of one": (
        lambda: nn.batch_norm().apply(*nn.batch_norm().init(KEY, X), X[:1], train=True),
        r"batch_norm: training needs at least 2 positions",
    ),
    "mask dtype": (lambda: nn.Masked(X, jnp.ones((2,))), r"Masked: mask must be boolean"),
    "mask shape": (lambda: nn.Masked(X, jnp.ones((3,), bool)), r"Masked: the mask's shape must be a prefix"),
    "model child unknown": (
        lambda: nn.model(a=nn.dense(2))(lambda m, x: m.b(x)).init(KEY, X),
        r"no child is called 'b'; its children are a",
    ),
    "model child unused": (
        lambda: nn.model(a=nn.dense(2))(lambda m, x: x).init(KEY, X),
        r"never calls its children 'a'",
    ),
    "labels out of range": (
        lambda: losses.cross_entropy(X, jnp.array([0, 4])),
        r"cross_entropy: labels must be in \[0, 4\)",
    ),
    "labels negative": (lambda: losses.cross_entropy(X, jnp.array([0, -1])), r"labels from -1 to 0"),
    "loss broadcast": (
        lambda: losses.squared_error(jnp.ones((4, 1)), jnp.ones(4)),
        r"squared_error: .*float32\[4, 1\] and float32\[4\]; nothing is broadcast",
    ),
    "reduce": (lambda: losses.binary_cross_entropy(X, X, reduce="summ"), r"did you mean 'sum'"),
    "accuracy shapes": (lambda: metrics.accuracy(X, jnp.ones(3)), r"accuracy: expected integer labels \[2\]"),
    "batch no tuple": (
        lambda: train.supervised(DENSE, losses.squared_error).init(KEY, X),
        r"supervised: a batch must be \(inputs, targets\)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_message(name: str) -> None:
    call, pattern = CASES[name]
    with pytest.raises((ValueError, TypeError, AttributeError), match=pattern) as caught:
        call()
    assert len(str(caught.value).splitlines()) <= 2


def test_the_path_of_the_child_is_a_note_and_type_and_traceback_stay() -> None:
    with pytest.raises(ValueError, match="dense") as caught:
        apply(DENSE, jnp.ones((2, 5)))
    assert "in layer: stem.dense_0" in caught.value.__notes__

    class Special(Exception):
        pass

    def broken(x):
        raise Special

    with pytest.raises(Special) as special:
        nn.chain(outer=nn.repeat(nn.chain(broken), 2)).init(KEY, X)
    assert "in layer: outer.broken_0" in special.value.__notes__


def test_the_path_stays_whole_where_jax_adds_notes_of_its_own() -> None:
    model = nn.chain(nn.repeat(nn.chain(nn.dense(8), lambda x: x @ jnp.ones((3, 3))), 2))
    with pytest.raises(TypeError) as caught:
        model.init(jax.random.key(0), jnp.ones((2, 8)))
    ours = [note for note in caught.value.__notes__ if note.startswith("in layer")]
    assert ours == ["in layer: repeat_0.lambda_0"]


def test_rates_pass_when_traced() -> None:
    def mean(rate):
        return nn.dropout(rate).apply({}, {}, jnp.ones(4096), key=KEY, train=True)[0].mean()

    means = jax.vmap(mean)(jnp.array([0.1, 0.5, 0.9]))
    assert jnp.all(jnp.abs(means - 1) < 0.2)
