"""What a mutant is: one subject in two variants, the call that checks it, and the check meant to kill it."""

import importlib
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn import testing


@dataclass(frozen=True)
class Mutant:
    """One bug.

    Attributes:
        name: what is wrong, in a few words.
        kind: ``"layer"``, ``"function"``, ``"loss"`` or ``"optimizer"``: which check is called.
        make: from whether it is broken to the subject.
        killer: beginning of the name of the check that must catch it.
        arguments: positional arguments of the check after the subject.
        options: declarations of the check, the same for the original and for the mutant.
        oracle: the NumPy oracle, without which the call is tried too.
        needs_oracle: whether nothing but the oracle can catch it.
    """

    name: str
    kind: str
    make: Callable[[bool], Any]
    killer: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    oracle: Any = None
    needs_oracle: bool = False

    def check(self, broken: bool, *, oracle: bool = True, seed: int = 0, **options: Any) -> testing.Report:
        """The one call of the kit, on the original or on the mutant."""
        given = {**self.options, **options, "seed": seed, "raises": False}
        if oracle and self.oracle is not None:
            given["oracle"] = self.oracle
        call = getattr(testing, f"check_{self.kind}")
        # Strict promotion is a check of the kit's own; optax, inside some subjects, needs the usual one.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return call(self.make(broken), *self.arguments, **given)

    def killers(self, *, oracle: bool = True) -> list[str]:
        """Names of the checks that the mutant fails; inconclusive ones are not among them."""
        report = self.check(True, oracle=oracle)
        failures = [v.check for v in report.verdicts if v.outcome is testing.Outcome.FAIL]
        return list(dict.fromkeys(failures))


@dataclass(frozen=True)
class Patch:
    """A change of one shipped source file, made in a copy of its module.

    Attributes:
        module: the module, such as ``jaxnn.optim._adam``.
        old: a text that stands in its source exactly once.
        new: what the bug writes instead.
    """

    module: str
    old: str
    new: str

    def apply(self, broken: bool) -> types.ModuleType:
        """The module itself, or its copy with the change.

        Raises:
            ValueError: the text does not stand in the source exactly once.
        """
        original = importlib.import_module(self.module)
        if not broken:
            return original
        source = inspect.getsource(original)
        if source.count(self.old) != 1:
            raise ValueError(
                f"{self.module}: expected once, found {source.count(self.old)} times: {self.old!r}"
            )
        copy = types.ModuleType(f"{self.module}_mutant")
        copy.__package__, copy.__file__ = original.__package__, original.__file__
        # dataclasses and NamedTuples look their module up by name while they are made.
        sys.modules[copy.__name__] = copy
        try:
            exec(compile(source.replace(self.old, self.new), copy.__name__, "exec"), copy.__dict__)
        finally:
            del sys.modules[copy.__name__]
        return copy


def f32(*shape: int) -> jax.ShapeDtypeStruct:
    """The spec of a float32 array."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)
