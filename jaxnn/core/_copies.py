"""Copies and pickles of layers, cells and objectives, which are functions."""

import copyreg
import pickle
import sys
from typing import Any

from jaxnn.core._kept import without_kept
from jaxnn.core._spec import describe

_STANDARD = ("_pickle", "pickle", "multiprocessing.reduction")


def itself(value: Any, _memo: Any = None) -> Any:
    """Return ``value`` as its own copy, shallow or deep: it is immutable, and so are functions."""
    return value


def reduced(value: Any, _protocol: Any) -> Any:
    """Return what ``object.__reduce_ex__`` does, where the functions of ``value`` can be pickled.

    Raises:
        TypeError: they are closures, which ``pickle`` stores by a name that it can't find.
    """
    bare = vars(without_kept(value))
    try:
        pickle.dumps(bare)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        if not _takes_closures():
            raise TypeError(
                f"pickle: {describe(value)} is made of functions without a name in a module; pickle what it "
                "was made with and make it anew, and save its parameters with "
                "jaxnn.interop.save_safetensors (cloudpickle takes both)"
            ) from error
    # As a state, not an argument, since functions may hold the value that they are part of.
    return copyreg.__newobj__, (type(value),), bare  # pyright: ignore[reportAttributeAccessIssue]


def _takes_closures() -> bool:
    """Whether the pickler at work is not of the standard library, but cloudpickle's or its like."""
    frame = sys._getframe(1)
    while frame is not None:
        pickler = frame.f_locals.get("self")
        if isinstance(pickler, (pickle.Pickler, pickle._Pickler)):  # pyright: ignore[reportAttributeAccessIssue]
            return type(pickler).__module__ not in _STANDARD
        frame = frame.f_back
    return False
