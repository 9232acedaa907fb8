"""Names of children: those given, and ``dense_0``, ``dense_1``, ... counted per kind for the rest."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from jaxnn.core import Layer, check_name, lift

Children = tuple[tuple[str, Layer], ...]


def name_children(owner: str, layers: tuple[Any, ...], named: Mapping[str, Any]) -> Children:
    """Name the children of a composite, lifting bare callables.

    Named layers do not count, so naming or inserting one shifts no other layer's name or randomness.

    Raises:
        ValueError: two children would share a name.
        TypeError: a child is neither a layer nor a callable.
    """
    counts: Counter[str] = Counter()
    children: list[tuple[str, Layer]] = []
    for position, child in enumerate(layers):
        layer = _lifted(owner, f"argument {position}", child)
        if layer.is_named:
            name = layer.name
        else:
            name = f"{layer.name}_{counts[layer.name]}"
            counts[layer.name] += 1
        children.append((name, layer))
    for name, child in named.items():
        check_name(owner, name)
        children.append((name, _lifted(owner, name, child)))
    taken = Counter(name for name, _ in children)
    twice = sorted(name for name, count in taken.items() if count > 1)
    if twice:
        raise ValueError(
            f"{owner}: {len(twice)} name(s) given to more than one child: {', '.join(map(repr, twice))}; "
            "rename with layer.named('another_name')"
        )
    return tuple(children)


def _lifted(owner: str, argument: str, child: Any) -> Layer:
    try:
        return lift(child)
    except TypeError as error:
        raise TypeError(f"{owner}: {argument}: {error}") from None
