"""Four series on which forecasting is tried: monthly sales, passengers and sunspots, daily temperatures.

Shampoo sales over three years (Makridakis, Wheelwright and Hyndman, 1998), passengers of airlines 1949-1960
(Box and Jenkins, 1976), daily minimum temperatures in Melbourne 1981-1990 (Australian Bureau of Meteorology),
monthly means of sunspots 1749-1983 (Andrews and Herzberg, 1985), as J. Brownlee collected them.
"""

import csv
import io
from dataclasses import dataclass

import numpy as np

from experiments.data.download import RemoteFile, fetch

ADDRESS = "https://raw.githubusercontent.com/jbrownlee/Datasets/master/"
FILES = {
    "airline": (
        "airline-passengers", 2_180, "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
    ),
    "temperatures": (
        "daily-min-temperatures", 67_921, "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
    ),
    "sunspots": (
        "monthly-sunspots", 45_039, "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3",
    ),
    "shampoo": ("shampoo", 519, "f709eaa344b2d07039a49e2193cbff5e56206354f3a8203c0e02471beb39a451"),
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Values at equal distances in time.

    Attributes:
        name: one of ``FILES``.
        dates: as they stand in the file.
        values: float64 ``[n]``.
    """

    name: str
    dates: tuple[str, ...]
    values: np.ndarray


def load_series(name: str) -> Series:
    """One of the four series.

    Raises:
        ValueError: there is none of that name, or the file in ``JAXNN_DATA`` has other content.
        OSError: the file is nowhere and cannot be downloaded; the message says where to put it.
    """
    if name not in FILES:
        raise ValueError(f"no series {name!r}; there are {', '.join(FILES)}")
    file, size, sha256 = FILES[name]
    content = fetch(RemoteFile(f"timeseries/{file}.csv", size, sha256, [f"{ADDRESS}{file}.csv"]))
    rows = list(csv.reader(io.StringIO(content.decode("ascii"))))[1:]
    dates, values = zip(*rows, strict=True)
    return Series(name, dates, np.array([float(value) for value in values]))
