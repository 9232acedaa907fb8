"""Composition: names, trees, keys, masks, and what must raise."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn

KEY = jax.random.key(0)
X = jnp.ones((2, 4))


def spec(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def equal(a, b) -> bool:
    same = jax.tree.map(lambda x, y: bool(jnp.array_equal(x, y)), a, b)
    return jax.tree.all(same)


def test_unnamed_children_are_counted_per_kind() -> None:
    model = nn.chain(nn.dense(4), jnp.tanh, nn.dense(4).named("middle"), nn.dense(4), head=nn.dense(2))
    params, state = model.init(KEY, X)
    assert sorted(params) == ["dense_0", "dense_1", "head", "middle"]
    assert state == {}


def test_adding_layers_changes_no_other_layers_parameters() -> None:
    plain, _ = nn.chain(nn.dense(8), nn.dense(4)).init(KEY, X)
    noisy, _ = nn.chain(nn.dense(8), nn.dropout(0.5), nn.dense(8).named("extra"), nn.dense(4)).init(KEY, X)
    assert equal(plain, {name: noisy[name] for name in plain})


def test_adding_a_dropout_changes_no_other_dropouts_mask() -> None:
    one = nn.chain(nn.dropout(0.5).named("kept"))
    two = nn.chain(nn.dropout(0.5).named("kept"), nn.dropout(0.0).named("other"))
    x = jnp.ones((8, 16))
    a, _ = one.apply({}, {}, x, key=KEY, train=True)
    b, _ = two.apply({}, {}, x, key=KEY, train=True)
    assert jnp.array_equal(a, b)


def test_init_and_apply_use_different_keys() -> None:
    from jaxnn.core import fold_name

    keys = [fold_name(KEY, domain, "dense_0") for domain in ("init", "apply", "draw")]
    data = {tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in keys}
    assert len(data) == 3


def test_sibling_keys_are_those_of_single_folds() -> None:
    from jaxnn.core import fold_name, fold_names

    together = fold_names(KEY, "init", ("a", "b"))
    apart = [fold_name(KEY, "init", name) for name in ("a", "b")]
    assert all(
        jnp.array_equal(jax.random.key_data(s), jax.random.key_data(t))
        for s, t in zip(together, apart, strict=False)
    )


def test_repeat_equals_the_unrolled_chain() -> None:
    body = nn.chain(nn.dense(4), jnp.tanh)
    model = nn.repeat(body, 3)
    params, state = model.init(KEY, X)
    y, _ = model.apply(params, state, X)
    z = X
    for i in range(3):
        z, _ = body.apply(jax.tree.map(lambda leaf, i=i: leaf[i], params), {}, z)
    np.testing.assert_allclose(y, z, rtol=1e-6)
    kernels = params["dense_0"]["kernel"]
    assert not jnp.array_equal(kernels[0], kernels[1])


def test_remat_and_cast_keep_name_tree_and_keys() -> None:
    inner = nn.chain(nn.dense(4), nn.dropout(0.5))
    plain = nn.chain(inner)
    params, state = plain.init(KEY, X)
    for wrapped in (nn.chain(nn.remat(inner)), nn.chain(nn.cast(inner, jnp.float32))):
        again, _ = wrapped.init(KEY, X)
        assert equal(params, again)
        a, _ = plain.apply(params, state, X, key=KEY, train=True)
        b, _ = wrapped.apply(params, state, X, key=KEY, train=True)
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_cast_keeps_parameters_gradients_and_statistics_in_float32() -> None:
    model = nn.cast(nn.chain(nn.dense(4), nn.batch_norm()))
    params, state = model.init(KEY, X)
    y, new = model.apply(params, state, jax.random.normal(KEY, (8, 4)), train=True)
    assert y.dtype == jnp.bfloat16
    grads = jax.grad(lambda p: model.apply(p, state, X, train=True)[0].astype(jnp.float32).sum())(params)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, grads, new))} == {jnp.dtype("float32")}


def test_batch_statistics_thread_through_chain_repeat_and_model() -> None:
    @nn.model(norm=nn.batch_norm(momentum=0.5), body=nn.dense(4))
    def twice(m, x):
        return m.norm(m.body(m.norm(x)))

    model = nn.chain(twice, nn.repeat(nn.chain(nn.batch_norm(momentum=0.5)), 2))
    params, state = model.init(KEY, X)
    x = jax.random.normal(KEY, (16, 4)) + 3
    _, new = model.apply(params, state, x, train=True)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    assert not equal(new, state)
    _, same = model.apply(params, new, x)
    assert equal(same, new)


def test_state_is_used_in_order_when_a_child_is_called_twice() -> None:
    @nn.model(norm=nn.batch_norm(momentum=0.5))
    def twice(m, x):
        return m.norm(m.norm(x) + 2)

    x = jax.random.normal(KEY, (64, 3)) * 2 + 5
    params, state = twice.init(KEY, x)
    _, new = twice.apply(params, state, x, train=True)
    expected = 0.5 * (0.5 * 0 + 0.5 * x.mean(0)) + 0.5 * 2
    np.testing.assert_allclose(new["norm"]["mean"], expected, rtol=1e-4)


def test_a_child_called_twice_draws_twice() -> None:
    @nn.model(noise=nn.dropout(0.5))
    def twice(m, x):
        return m.noise(x), m.noise(x)

    (a, b), _ = twice.apply({}, {}, jnp.ones((8, 16)), key=KEY, train=True)
    assert not jnp.array_equal(a, b)


def test_named_draws_differ_by_name_and_call() -> None:
    @nn.model()
    def draws(m, x):
        return x + jnp.stack([jax.random.normal(m.key(n), ()) for n in ("a", "a", "b")])

    y, _ = draws.apply({}, {}, jnp.zeros(3), key=KEY)
    assert len(set(y.tolist())) == 3
    with pytest.raises(ValueError, match=r"m\.key\('a'\): needs a random key"):
        draws.apply({}, {}, jnp.zeros(3))


def test_children_used_only_in_training_get_parameters() -> None:
    @nn.model(body=nn.dense(4), extra=nn.dense(4))
    def auxiliary(m, x):
        y = m.body(x)
        return y + m.extra(y) if m.train else y

    params, _ = auxiliary.init(KEY, X)
    assert sorted(params) == ["body", "extra"]


@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("transform", ["scan", "vmap", "cond", "jit"])
def test_randomness_or_state_inside_the_authors_own_transform_raises(noisy: bool, transform: str) -> None:
    @nn.model(body=nn.dense(4), special=nn.dropout(0.5) if noisy else nn.batch_norm())
    def wrong(m, x):
        def inside(x):
            return m.special(m.body(x))

        if transform == "scan":
            return jax.lax.scan(lambda carry, _: (inside(carry), None), x, None, length=2)[0]
        if transform == "vmap":
            return jax.vmap(inside)(x[None])
        if transform == "cond":
            return jax.lax.cond(x.sum() > 0, inside, lambda x: x, x)
        return jax.jit(inside)(x)

    with pytest.raises(ValueError, match=r"'special' (draws|carries).*inside your own scan.*nn\.repeat"):
        wrong.init(KEY, X)
    params = {"body": nn.dense(4).init(KEY, X)[0]}
    state = {}
    if not noisy:
        norm_params, norm_state = nn.batch_norm().init(KEY, X)
        params, state = {**params, "special": norm_params}, {"special": norm_state}
    with pytest.raises(ValueError, match="inside your own scan"):
        wrong.apply(params, state, X, key=KEY, train=True)


def test_plain_children_inside_the_authors_own_scan_share_parameters() -> None:
    @nn.model(body=nn.dense(4))
    def recurrent(m, x):
        return jax.lax.scan(lambda h, _: (jnp.tanh(m.body(h)), None), x, None, length=3)[0]

    params, _ = recurrent.init(KEY, X)
    y, _ = jax.jit(recurrent.apply)(params, {}, X)
    h = X
    for _ in range(3):
        h = jnp.tanh(nn.dense(4).apply(params["body"], {}, h)[0])
    np.testing.assert_allclose(y, h, rtol=1e-6)


def test_named_keys_inside_the_authors_own_scan_raise() -> None:
    @nn.model()
    def wrong(m, x):
        def body(c, _):
            return c + jax.random.normal(m.key("noise"), c.shape), None

        return jax.lax.scan(body, x, None, length=2)[0]

    with pytest.raises(ValueError, match="draw it outside"):
        wrong.init(KEY, X)


def test_masks_pass_pointwise_layers_and_stop_at_the_rest() -> None:
    masked = nn.Masked(jnp.ones((2, 3, 4)), jnp.array([[True, True, False], [True, False, False]]))
    model = nn.chain(nn.dense(4), jax.nn.relu, nn.dropout(0.5), nn.batch_norm(), nn.residual(nn.dense(4)))
    params, state = model.init(KEY, masked)
    y, _ = model.apply(params, state, masked, key=KEY, train=True)
    assert jnp.array_equal(y.mask, masked.mask)
    for layer in (nn.flatten(), nn.conv(2, (2,)), nn.max_pool((2,)), nn.reshape(12), lambda x: x[:, :1]):
        with pytest.raises(TypeError, match="can't honour a mask"):
            nn.chain(layer).init(KEY, masked)


def test_padding_reaches_no_output_gradient_or_statistic_of_batch_norm() -> None:
    mask = jnp.array([[True, True, False], [True, False, False]])
    layer = nn.batch_norm(momentum=0.5)
    clean = jax.random.normal(KEY, (2, 3, 4))
    params, state = layer.init(KEY, clean)

    def loss(params, value):
        y, new = layer.apply(params, state, nn.Masked(value, mask), train=True)
        return jnp.sum(jnp.where(mask[..., None], y.value, 0) ** 3), (y.value, new)

    spoiled = jnp.where(mask[..., None], clean, jnp.nan)
    for a, b in zip(
        jax.tree.leaves(jax.grad(loss, (0, 1), has_aux=True)(params, clean)),
        jax.tree.leaves(jax.grad(loss, (0, 1), has_aux=True)(params, spoiled)),
        strict=True,
    ):
        real = (
            jnp.broadcast_to(mask[..., None], a.shape) if a.shape == clean.shape else jnp.ones(a.shape, bool)
        )
        assert jnp.array_equal(jnp.where(real, a, 0), jnp.where(real, b, 0))
    alone, _ = layer.apply(params, state, clean[mask], train=True)
    together, _ = layer.apply(params, state, nn.Masked(clean, mask), train=True)
    np.testing.assert_allclose(together.value[mask], alone, rtol=1e-5, atol=1e-6)


def test_batch_norm_under_vmap_over_seeds_equals_single_runs() -> None:
    model = nn.chain(nn.dense(4), nn.batch_norm(), nn.dropout(0.3))
    keys = jax.random.split(KEY, 3)
    params, state = jax.vmap(lambda key: model.init(key, spec(1, 4)))(keys)
    x = jax.random.normal(KEY, (8, 4))
    together = jax.vmap(nn.mode(model, train=True), (0, 0, None, 0))(params, state, x, keys)
    for i in range(3):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], (params, state))
        alone = model.apply(*one, x, key=keys[i], train=True)
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)


def test_batch_norm_survives_an_offset() -> None:
    layer = nn.batch_norm()
    x = jax.random.normal(KEY, (256, 2))
    params, state = layer.init(KEY, x)
    a, _ = layer.apply(params, state, x, train=True)
    b, _ = layer.apply(params, state, x + 1e4, train=True)
    np.testing.assert_allclose(a, b, atol=2e-3)


@pytest.mark.parametrize("nest", ["nested", "flat"])
def test_init_of_two_hundred_layers_traces_each_once(nest: str) -> None:
    calls = []

    def init(key, x):
        return {"scale": jnp.ones(x.shape[-1:])}

    def apply(params, x):
        calls.append(x.shape)
        return x * jnp.broadcast_to(params["scale"], x.shape)

    layer = nn.stateless("scale", init, apply)
    model = layer
    if nest == "nested":
        for _ in range(200):
            model = nn.chain(model)
    else:
        model = nn.chain(*[layer] * 200)
    start = time.process_time()
    jax.jit(lambda key: model.init(key, spec(1, 4)))(KEY)
    assert len(calls) == (1 if nest == "nested" else 200)
    assert time.process_time() - start < 60


def test_init_never_runs_the_model_and_takes_specs_under_jit() -> None:
    model = nn.chain(nn.dense(4), nn.repeat(nn.dense(4), 2), nn.residual(nn.dense(4)))
    a = jax.jit(lambda key: model.init(key, spec(1, 4)))(KEY)
    assert equal(a, model.init(KEY, X))


def test_structure_does_not_depend_on_train_or_key() -> None:
    model = nn.chain(nn.dense(4), nn.batch_norm(), nn.dropout(0.5))
    params, state = model.init(KEY, X)
    shapes = [
        jax.eval_shape(lambda p, s, k=key, t=train: model.apply(p, s, X, key=k, train=t), params, state)
        for key, train in ((None, False), (KEY, True), (KEY, False))
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_two_inputs_two_outputs_of_the_course_count_28670_parameters() -> None:
    def tower(*sizes):
        return nn.chain(*[layer for size in sizes for layer in (nn.dense(size), jax.nn.relu)])

    model = nn.chain(
        nn.parallel(tower(128, 128, 32), tower(32, 32, 32)),
        nn.concatenate(),
        nn.dense(28),
        nn.branch(nn.chain(nn.dense(64), jax.nn.relu, nn.dense(1)), nn.chain(nn.dense(16), nn.dense(1))),
    )
    params, _ = model.init(KEY, (spec(1, 10), spec(1, 8)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 28_670
    outputs, _ = model.apply(params, {}, (jnp.ones((5, 10)), jnp.ones((5, 8))))
    assert [y.shape for y in outputs] == [(5, 1), (5, 1)]


def test_padding_reaches_no_gradient_of_pointwise_layers_and_callables() -> None:
    mask = jnp.array([[True, True, False], [True, False, False]])
    model = nn.chain(jnp.log, nn.dense(4), jax.nn.relu)
    clean = jax.random.uniform(KEY, (2, 3, 4)) + 0.5
    params, state = model.init(KEY, clean)

    def loss(params, value):
        y, _ = model.apply(params, state, nn.Masked(value, mask))
        return jnp.sum(jnp.where(mask[..., None], y.value, 0))

    expected = jax.grad(loss)(params, clean)
    for filler in (0.0, jnp.nan, jnp.inf):
        spoiled = jnp.where(mask[..., None], clean, filler)
        assert equal(jax.grad(loss)(params, spoiled), expected)


@pytest.mark.parametrize(
    "mixes",
    [lambda x: jnp.cumsum(x, 1), lambda x: x - x.mean(1, keepdims=True), lambda x: x.reshape(x.shape[0], -1)],
)
def test_callables_that_mix_positions_refuse_a_mask(mixes) -> None:
    masked = nn.Masked(jnp.ones((2, 3, 4)), jnp.ones((2, 3), bool))
    with pytest.raises(TypeError, match=r"more than one position.*can't honour a mask"):
        nn.chain(mixes).init(KEY, masked)


def test_callables_on_the_features_of_a_position_keep_the_mask() -> None:
    masked = nn.Masked(jax.random.normal(KEY, (2, 3, 4)), jnp.ones((2, 3), bool))
    y, _ = nn.chain(jax.nn.softmax).apply({}, {}, masked)
    np.testing.assert_allclose(y.value, jax.nn.softmax(masked.value), rtol=1e-6)


def test_a_mask_over_features_is_refused() -> None:
    masked = nn.Masked(jnp.ones((2, 3)), jnp.ones((2, 3), bool))
    for layer in (nn.dense(2), nn.batch_norm()):
        params, state = layer.init(KEY, jnp.ones((2, 3)))
        with pytest.raises(ValueError, match="must mark positions"):
            layer.apply(params, state, masked)


def test_the_choice_of_bias_does_not_change_the_kernel() -> None:
    kernels = [
        nn.dense(2, **options).init(KEY, X)[0]["kernel"]
        for options in ({}, {"use_bias": False}, {"bias_init": jax.nn.initializers.normal()})
    ]
    assert equal(kernels[0], kernels[1])
    assert equal(kernels[0], kernels[2])


def test_a_child_that_draws_only_when_given_a_key_raises_inside_a_scan() -> None:
    def apply(params, x, *, key, train):
        return x if key is None or not train else x + jax.random.normal(key, x.shape)

    @nn.model(noise=nn.stateless("noise", None, apply))
    def wrong(m, x):
        return jax.lax.scan(lambda c, _: (m.noise(c), None), x, None, length=2)[0]

    with pytest.raises(ValueError, match="'noise' draws random numbers"):
        wrong.init(KEY, X)
