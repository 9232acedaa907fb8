"""Layers that can take a sequence step by step: what they remember travels in their part of ``state``.

The tree of states that ``chain``, ``repeat``, ``residual``, ``model`` and the wrappers thread through a
network is where each such layer finds its cache while a network decodes; ``nn.decoding_cell`` fills and
empties it. In ordinary use that part is empty and the layer acts on whole sequences.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jaxnn.core import Layer, Params, PyTree, State, check_entries, check_key, check_train, on_any_mesh

# What decoding_cell and a layer say to each other through the layer's part of the state. A probe asks which
# inputs the layer is called with; after a step the new cache is wrapped, so that a second call in one step is
# noticed. A cache that holds UNREAD is filled from a memory at the first call. None of them is an identifier,
# so that no child is called so.
PROBE, CALL, STEPPED, UNREAD = "<decoding probe>", "<call>", "<stepped>", "<unread>"


@dataclass(frozen=True, repr=False)
class CachedLayer(Layer):
    """A layer with an incremental form.

    Attributes:
        cache: ``(params, x, length) -> cache``, empty, for sequences of at most ``length`` positions;
            ``params`` and ``x`` may be specs, ``params`` with leading axes that ``repeat`` gave them.
    """

    cache: Callable[[Params, PyTree, int], State] | None = field(default=None, compare=False)


@dataclass(frozen=True, repr=False)
class WholeLayer(Layer):
    """A layer of layers that has no incremental form, whatever its children have.

    Attributes:
        reason: why it has none.
    """

    reason: str = ""


def cached(
    name: str,
    init: Callable[[Any, PyTree], Params] | None,
    apply: Callable[[Params, PyTree], PyTree],
    cache: Callable[[Params, PyTree, int], State],
    step: Callable[[Params, State, PyTree], tuple[PyTree, State]],
) -> CachedLayer:
    """Make a layer of its forms for whole sequences, ``apply``, and for the next positions, ``step``.

    Args:
        name: kind of the layer.
        init: ``(key, x) -> params``.
        apply: ``(params, x) -> y`` on whole sequences; sees a ``Masked`` itself.
        cache: see ``CachedLayer``.
        step: ``(params, cache, x) -> (y, cache)`` on the positions that follow those in the cache.
    """

    def init_layer(key: Any, x: PyTree) -> tuple[Params, State]:
        check_key(name, key)
        return ({} if init is None else init(key, x)), {}

    def apply_layer(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        del key
        check_train(name, train)
        if init is None:
            check_entries(name, params, ())
        return whole_or_next(
            name, state, x, lambda x: apply(params, x), lambda cache, x: step(params, cache, x)
        )

    return on_any_mesh(CachedLayer(name, init_layer, apply_layer, cache=cache))


def whole_or_next(
    name: str,
    state: State,
    x: PyTree,
    whole: Callable[[PyTree], PyTree],
    step: Callable[[State, PyTree], tuple[PyTree, State]],
) -> tuple[PyTree, State]:
    """Apply a layer as its state asks: to a whole sequence, to one that is probed, or to the next positions.

    Args:
        name: kind of the layer.
        state: its part of the state.
        x: its input.
        whole: ``x -> y`` on whole sequences.
        step: ``(cache, x) -> (y, cache)`` on the next positions.
    """
    if not isinstance(state, dict) or not state:
        check_entries(name, state, (), "state")
        return whole(x), state
    if STEPPED in state:
        raise ValueError(
            f"{name}: called twice on the sequence in one decoding step, where each call needs a cache "
            "of its own; give the model two layers"
        )
    if PROBE in state:
        return whole(x), {**state, f"{CALL}{len(state)}": x}
    y, new = step(state, x)
    return y, {STEPPED: new}
