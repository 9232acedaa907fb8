"""Fisher's irises: 150 flowers of three species, four lengths in centimetres; they come with scikit-learn.

R. A. Fisher, "The use of multiple measurements in taxonomic problems", 1936.
"""

import numpy as np

SPECIES = ("setosa", "versicolor", "virginica")


def load_iris() -> tuple[np.ndarray, np.ndarray]:
    """The flowers in blocks of ten of a species: setosa, versicolor, virginica, setosa, ...

    Returns:
        float32 ``[150, 4]``, sepal length and width, petal length and width, in cm; int32 ``[150]``.
    """
    from sklearn.datasets import load_iris as load

    x, y = load(return_X_y=True)
    # In the file each species is one block of fifty.
    order = np.arange(150).reshape(3, 5, 10).transpose(1, 0, 2).ravel()
    return np.asarray(x, np.float32)[order], np.asarray(y, np.int32)[order]
