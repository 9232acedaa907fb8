"""Fashion-MNIST: 60,000 training and 10,000 test pictures of clothes in MNIST's format.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms", 2017. Addresses and checksums (MD5 of the gzipped files) are those of its publisher, Zalando.
"""

from experiments.data.download import RemoteFile
from experiments.data.mnist import FILES, read_pictures
from experiments.data.pictures import Pictures

ADDRESSES = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
MD5 = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
CLASSES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip


def load_fashion_mnist() -> Pictures:
    """Fashion-MNIST with its own split, values divided by 255.

    Returns:
        60,000 training and 10,000 test pictures, float32 ``[examples, 28, 28]`` in ``[0, 1]``.

    Raises:
        OSError: the files are nowhere and cannot be downloaded; the message says where to put them.
        ValueError: a file in ``JAXNN_DATA`` has other content than Fashion-MNIST's.
    """
    return read_pictures([_remote(name) for name in MD5])


def _remote(name: str) -> RemoteFile:
    addresses = [f"{address}{name}.gz" for address in ADDRESSES]
    return RemoteFile(f"fashion_mnist/{name}.gz", FILES[name][0], "", addresses, zipped_md5=MD5[name])
