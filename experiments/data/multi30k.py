"""Multi30k, task 1: captions of pictures and their translations (Elliott et al., 2016, arXiv:1605.00459)."""

from dataclasses import dataclass

from experiments.data.download import RemoteFile, fetch

ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
FILES = {
    "train.de": (2110398, "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72"),
    "train.en": (1801238, "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6"),
    "val.de": (75981, "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660"),
    "val.en": (63297, "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227"),
}


@dataclass(frozen=True)
class Parallel:
    """Sentences and their translations, in the same order.

    Attributes:
        source: German sentences, raw.
        target: English sentences, raw.
    """

    source: list[str]
    target: list[str]

    def __post_init__(self) -> None:
        """Check that the two sides belong together.

        Raises:
            ValueError: they have unequal lengths.
        """
        if len(self.source) != len(self.target):
            raise ValueError(
                f"parallel text: {len(self.source)} sentences but {len(self.target)} translations; each line "
                "needs one"
            )

    def head(self, count: int) -> "Parallel":
        """The first ``count`` pairs."""
        return Parallel(self.source[:count], self.target[:count])


def load_multi30k() -> tuple[Parallel, Parallel]:
    """29,000 training pairs and 1,014 validation pairs, German and English, as they were published.

    Raises:
        OSError: the files are nowhere and cannot be downloaded; the message says where to put them.
        ValueError: a file in ``JAXNN_DATA`` has other content.
    """
    training, validation = (Parallel(_read(f"{part}.de"), _read(f"{part}.en")) for part in ("train", "val"))
    return training, validation


def _read(name: str) -> list[str]:
    size, sha256 = FILES[name]
    content = fetch(RemoteFile(f"multi30k/{name}.gz", size, sha256, [f"{ADDRESS}{name}.gz"]))
    return content.decode("utf-8").removesuffix("\n").split("\n")
