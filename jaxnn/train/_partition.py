"""Training a part of the parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxnn.core import Where, chooser, describe
from jaxnn.train._objective import Objective, Terms


@dataclass(frozen=True)
class Partition:
    """Parameters in two parts, each a tree like the whole without the other's leaves.

    Attributes:
        trained: what is differentiated.
        frozen: what is not.
    """

    trained: Any
    frozen: Any

    def merge(self, trained: Any = None) -> Any:
        """Return the whole tree, as it was before; with ``trained`` in place of that part if given."""
        return _merged(self.trained if trained is None else trained, self.frozen)

    def objective(self, objective: Objective, state: Any = None) -> Objective:
        """Return ``objective`` as a function of the trained part alone, starting from these parameters.

        Its state is ``{"model": state, "frozen": frozen}``: the rest is carried, not differentiated, so it
        has no gradient, no optimizer state and no share of a clipping norm.

        Args:
            objective: what is minimised, in the whole tree.
            state: the model's state to start from; a new one when ``None``.
        """

        def init(key: Any, batch: Any) -> tuple[Any, Any]:
            model_state = objective.init(key, batch)[1] if state is None else state
            return self.trained, {"model": model_state, "frozen": self.frozen}

        def evaluate(
            params: Any, state: Any, batch: Any, *, key: Any = None, train: bool = False
        ) -> tuple[Terms, Any]:
            whole = _merged(params, state["frozen"])
            terms, model_state = objective.evaluate(whole, state["model"], batch, key=key, train=train)
            return terms, {"model": model_state, "frozen": state["frozen"]}

        def check(params: Any, state: Any, data: Any) -> None:
            if objective.check is not None:
                objective.check(_merged(params, state["frozen"]), state["model"], data)

        def outputs(params: Any, state: Any, data: Any) -> Any:
            return given(_merged(params, state["frozen"]), state["model"], data)

        given: Any = objective.outputs
        return Objective(init, evaluate, check, objective.report, None if given is None else outputs)


def partition(params: Any, predicate: Where) -> Partition:
    """Split parameters into those to train and those to leave as they are.

    In Optax a mask leaves raw gradients for what it leaves out, gradients are computed all the same, and the
    clipping norm counts them; here the rest is not differentiated at all, and ``merge`` gives back the tree
    that was split, so what is saved does not change.

    Args:
        params: nested dicts of arrays.
        predicate: which leaves to train: a function of the path (``"stem.dense_0.kernel"``), or of path and
            leaf, or a pattern such as ``"head.*"``, or several.

    Raises:
        TypeError: ``params`` are not nested dicts.
        ValueError: no leaf is chosen.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import losses, optim, train
        >>> model = nn.chain(trunk=nn.dense(4), head=nn.dense(1))
        >>> data = jnp.ones((8, 2)), jnp.ones((8, 1))
        >>> task = train.supervised(model, losses.squared_error)
        >>> params, _ = task.init(jax.random.key(0), data)
        >>> part = train.partition(params, "head.*")
        >>> result = train.fit(part.objective(task), optim.sgd(0.1), data, epochs=3, batch_size=8,
        ...                    key=jax.random.key(0), progress=False)
        >>> sorted(result.params), sorted(part.merge(result.params))
        (['head'], ['head', 'trunk'])
    """
    chosen = chooser("partition", predicate)
    trained, frozen = _split(params, (), chosen)
    if not trained:
        raise ValueError(f"partition: the predicate chose none of the parameters {describe(params)}")
    return Partition(trained, frozen)


def _split(tree: Any, path: tuple[str, ...], chosen: Callable[[str, Any], bool]) -> tuple[Any, Any]:
    if not isinstance(tree, dict):
        raise TypeError(f"partition: parameters must be nested dicts, got {describe(tree)}")
    trained: dict[str, Any] = {}
    frozen: dict[str, Any] = {}
    for name, node in tree.items():
        here = (*path, name)
        if isinstance(node, dict):
            parts = _split(node, here, chosen)
            for part, into in zip(parts, (trained, frozen), strict=True):
                if part:
                    into[name] = part
        else:
            (trained if chosen(".".join(here), node) else frozen)[name] = node
    return trained, frozen


def _merged(one: Any, other: Any) -> Any:
    both = {
        name: _merged(one[name], other[name]) if name in one and name in other else node
        for name, node in {**other, **one}.items()
    }
    return {name: both[name] for name in sorted(both)}
