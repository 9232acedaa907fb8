"""What happened, epoch by epoch."""

from collections.abc import Iterator, Mapping
from typing import Any

_ALIASES = {"acc": "accuracy", "val_acc": "val_accuracy"}


class History(Mapping[str, list[Any]]):
    """The records of a run: a mapping from a name to its value in every epoch.

    Keras users find ``history["loss"]`` and ``history["val_accuracy"]`` (also under the older ``acc``).

    Attributes:
        records: one dict for each epoch, as callbacks saw it.

    Example:
        >>> history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}])
        >>> history["loss"], history.last["loss"]
        ([2.0, 1.0], 1.0)
    """

    def __init__(self, records: list[dict[str, Any]] | None = None) -> None:
        self.records: list[dict[str, Any]] = list(records or [])

    @property
    def last(self) -> dict[str, Any]:
        """The record of the last epoch; empty before the first."""
        return self.records[-1] if self.records else {}

    def __getitem__(self, name: str) -> list[Any]:
        name = name if any(name in record for record in self.records) else _ALIASES.get(name, name)
        values = [record[name] for record in self.records if name in record]
        if not values:
            raise KeyError(f"{name!r} was not recorded; recorded are {', '.join(self) or 'no epochs yet'}")
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for record in self.records for name in record))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"History({len(self.records)} epochs: {', '.join(self)})"
