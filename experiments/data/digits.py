"""scikit-learn's handwritten digits: 1,797 pictures, 8 by 8, which come with the package and need no network.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
1998 (its test part).
"""

import numpy as np

from experiments.data.pictures import Pictures


def load_digits() -> Pictures:
    """The digits with a fixed split: of each class, in file order, every fifth picture is a test picture.

    So the split depends on no random generator, both parts have the same mix of classes, and no seed of a run
    ever trains on a test picture.

    Returns:
        1,442 training and 355 test pictures, float32 ``[examples, 8, 8]``, values divided by 16.
    """
    from sklearn.datasets import load_digits as load

    pixels, labels = load(return_X_y=True)
    x = np.asarray(pixels, np.float32).reshape(-1, 8, 8) / np.float32(16)
    y = np.asarray(labels, np.int32)
    test = np.zeros(len(y), bool)
    for label in range(10):
        test[np.flatnonzero(y == label)[4::5]] = True
    return Pictures(x[~test], y[~test], x[test], y[test], classes=10)
