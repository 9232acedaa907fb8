"""The product with a matrix, written out for a few numbers, merged for many axes: one value, one derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxnn.ops._product import product

SHAPES = [((7, 4), (4, 6)), ((5,), (5, 3)), ((2, 3, 4), (4, 8)), ((6, 1), (1, 32)), ((3, 2, 20), (20, 30))]


@pytest.mark.parametrize(("of_x", "of_kernel"), SHAPES)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint], ids=["plain", "jit", "remat"])
def test_value_and_derivatives_are_those_of_matmul(of_x, of_kernel, wrap) -> None:
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, kernel = (jnp.asarray(rng.standard_normal(shape)) for shape in (of_x, of_kernel))
        tangents = tuple(jnp.asarray(rng.standard_normal(shape)) for shape in (of_x, of_kernel))

        def ours(x, kernel):
            return jnp.sin(wrap(product)(x, kernel)).sum()

        def plain(x, kernel):
            return jnp.sin(x @ kernel).sum()

        pairs = [
            (wrap(product)(x, kernel), x @ kernel),
            *zip(*(jax.grad(f, (0, 1))(x, kernel) for f in (ours, plain)), strict=True),
            *(((jax.grad(ours, i)(x, kernel)), jax.grad(plain, i)(x, kernel)) for i in (0, 1)),
            tuple(jax.jvp(f, (x, kernel), tangents)[1] for f in (ours, plain)),
            tuple(jax.jacfwd(jax.grad(f, 1), 1)(x, kernel) for f in (ours, plain)),
            tuple(jax.jacrev(jax.grad(f, 0), 1)(x, kernel) for f in (ours, plain)),
        ]
        for got, expected in pairs:
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_rows_and_kernels_are_mapped_over() -> None:
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.standard_normal((3, 5, 4)), jnp.float32)
    kernels = jnp.asarray(rng.standard_normal((3, 4, 6)), jnp.float32)
    got = jax.vmap(jax.grad(lambda k, x: product(x, k).sum()))(kernels, x)
    np.testing.assert_allclose(got, jnp.broadcast_to(x.sum(1)[..., None], got.shape), rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(product, (None, 0))(x[0], kernels), x[0] @ kernels, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_summed_as_matmul_sums_it(dtype) -> None:
    x = jnp.full((3, 16), 1 / 3, dtype)
    kernel = jnp.full((16, 2), 1 / 7, dtype)
    np.testing.assert_array_equal(product(x, kernel), x @ kernel)


def test_a_call_outside_of_jit_is_one_program(caplog) -> None:
    x, kernel = jnp.ones((101, 9)), jnp.ones((9, 3))
    caplog.clear()
    with jax.log_compiles():
        product(x, kernel)
    compiled = [record for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    assert len(compiled) == 1
    (whole,) = jax.make_jaxpr(product)(x, kernel).eqns
    if whole.primitive.name == "jit":  # newer versions of JAX inline it only when they lower the program
        (whole,) = whole.params["jaxpr"].jaxpr.eqns
    assert whole.primitive.name == "custom_jvp_call"


def test_shapes_that_do_not_fit_raise_for_a_few_numbers_too() -> None:
    for of_x, of_kernel in [((2, 4), (3, 2)), ((2, 1), (4, 1))]:
        with pytest.raises(TypeError, match="contracting dimensions"):
            product(jnp.ones(of_x), jnp.ones(of_kernel))


def test_no_rows_have_a_product_and_gradients() -> None:
    x, kernel = jnp.ones((2, 0, 4)), jnp.ones((4, 3))
    assert product(x, kernel).shape == (2, 0, 3)
    dx, dkernel = jax.grad(lambda x, k: product(x, k).sum(), (0, 1))(x, kernel)
    assert dx.shape == x.shape
    assert not dkernel.any()


def test_it_is_exported_for_any_number_of_rows_but_one() -> None:
    """Whether ``b - 1`` rows are any is not known."""
    rows = jax.ShapeDtypeStruct(export.symbolic_shape("b, 4"), jnp.float32)
    kernel = jnp.arange(12.0).reshape(4, 3)
    exported = export.export(jax.jit(lambda x: product(x[1:], kernel)))(rows)
    np.testing.assert_allclose(exported.call(jnp.ones((3, 4))), jnp.ones((2, 4)) @ kernel)


@pytest.mark.parametrize(("of_x", "of_kernel"), [(P(None, "m"), P()), (P(), P("m", None))])
def test_an_axis_that_is_summed_over_may_be_sharded_explicitly(of_x, of_kernel) -> None:
    mesh = AbstractMesh((4,), ("m",), axis_types=(AxisType.Explicit,))
    x = jax.ShapeDtypeStruct((3, 8), jnp.float32, sharding=NamedSharding(mesh, of_x))
    kernel = jax.ShapeDtypeStruct((8, 2), jnp.float32, sharding=NamedSharding(mesh, of_kernel))
    with jax.sharding.use_abstract_mesh(mesh):
        assert jax.eval_shape(product, x, kernel).shape == (3, 2)
