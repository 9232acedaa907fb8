"""Functions of an objective or a rule that are kept for the next call with the same one."""

from collections.abc import Callable
from typing import Any


def is_hashable(*values: Any) -> bool:
    """Whether all ``values`` can be keys; a frozen dataclass or a tuple can be only if what it holds can."""
    try:
        hash(values)
    except TypeError:
        return False
    return True


def reused(build: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``build(*arguments)``, from the ``lru_cache`` around it where ``arguments`` can be its key.

    A callable object without a hash, as any plain dataclass is, is built for anew at each call.
    """
    kept: Any = build
    return (kept if is_hashable(*arguments) else kept.__wrapped__)(*arguments)
