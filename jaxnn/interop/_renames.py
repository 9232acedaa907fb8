"""The map of names from a model of ours to one of another library."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jaxnn.core import describe, nearest

_HOLE = re.compile(r"\{(\w+)([+-]\d+)?\}")


class Renames:
    """Patterns of our paths, and what each is called elsewhere.

    ``{"body.block_{i}": "layers.{i+1}"}`` says that ``body.block_3`` is called ``layers.4``, and so
    ``body.block_3.dense_0`` is ``layers.4.dense_0`` unless a longer pattern says more. Holes match numbers.
    What no pattern covers keeps its name.
    """

    def __init__(self, owner: str, names: Mapping[str, Any] | None, markers: tuple[type, ...] = ()) -> None:
        """Read a map.

        Args:
            owner: the function that messages name.
            names: patterns and what they stand for.
            markers: named tuples with a ``name`` that may stand in place of a text.
        """
        self.owner = owner
        if not isinstance(names, Mapping | None):
            raise TypeError(f"{owner}: names must be a dict from our paths to names, got {describe(names)}")
        for key, target in (names or {}).items():
            if not isinstance(target, (str, *markers)) or not isinstance(getattr(target, "name", ""), str):
                kinds = " or ".join(["text", *(marker.__name__ for marker in markers)])
                raise TypeError(f"{owner}: names[{key!r}] must be {kinds}, got {target!r}")
        patterns = [(key, _pattern(owner, key)) for key in names or {}]
        # What is named itself comes before what a pattern covers.
        self._patterns = dict(sorted(patterns, key=lambda item: item[1].groups))
        self._names = dict(names or {})
        self._used: set[str] = set()

    def exact(self, path: str, copies: tuple[int, ...] = ()) -> Any:
        """Return what ``path`` itself is mapped to, or ``None``; arguments as in ``find``."""
        for key, pattern in self._patterns.items():
            if found := pattern.fullmatch(path):
                self._used.add(key)
                return _filled(self._names[key], {**found.groupdict(), **_copy(copies)})
        return None

    def find(self, path: str, copies: tuple[int, ...] = ()) -> Any:
        """Return what ``path`` is mapped to, directly or through what it stands in.

        Args:
            path: names joined with dots.
            copies: of a layer that ``repeat`` stacks, which copy is meant: the hole ``{copy}``.
        """
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            target = self.exact(".".join(parts[:length]), copies)
            rest = "".join(f".{part}" for part in parts[length:])
            if target is not None and rest and not isinstance(target, str):
                raise ValueError(f"{self.owner}: {'.'.join(parts[:length])!r} has parts; map each of them")
            if target is not None:
                return f"{target}{rest}".lstrip(".") if rest else target
        return path

    def check_used(self, paths: Iterable[str]) -> None:
        """Raise if a pattern matched nothing.

        Raises:
            ValueError: naming the pattern and the paths that are nearest to it.
        """
        unused = [key for key in self._names if key not in self._used]
        if unused:
            raise ValueError(
                f"{self.owner}: names has {unused[0]!r}, which is no layer of this model; "
                f"{nearest(unused[0], paths)}"
            )


def _pattern(owner: str, key: Any) -> re.Pattern[str]:
    if not isinstance(key, str):
        raise TypeError(f"{owner}: names must map paths (text) to names, got the path {key!r}")
    text, last = "", 0
    for hole in _HOLE.finditer(key):
        text += re.escape(key[last : hole.start()]) + f"(?P<{hole[1]}>[0-9]+)"
        last = hole.end()
    return re.compile(text + re.escape(key[last:]))


def _copy(copies: tuple[int, ...]) -> dict[str, int]:
    return {"copy": copies[0]} if copies else {}


def _filled(target: Any, values: Mapping[str, Any]) -> Any:
    if not isinstance(target, str):
        return target._replace(name=_filled(target.name, values))

    def fill(hole: re.Match[str]) -> str:
        if hole[1] not in values:
            return hole[0]
        return str(int(values[hole[1]]) + int(hole[2] or 0))

    return _HOLE.sub(fill, target)
