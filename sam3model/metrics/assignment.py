"""One-to-one assignment with maximum total similarity."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

IntArray = NDArray[np.intp]


def best_pairs(similarity: ArrayLike) -> tuple[IntArray, IntArray]:
    """Assign rows to columns so that the total similarity is maximal.

    similarity: (N, M). Returns row and column indices, min(N, M) each, including pairs with similarity 0.

    >>> rows, columns = best_pairs([[0.6, 0.5], [0.9, 0.1]])
    >>> rows.tolist(), columns.tolist()
    ([0, 1], [1, 0])
    """
    matrix = np.asarray(similarity, np.float64)
    if matrix.shape == (1, 1):
        return np.zeros(1, np.intp), np.zeros(1, np.intp)
    return linear_sum_assignment(matrix, maximize=True)


def matched_similarity(similarity: ArrayLike) -> NDArray[np.float64]:
    """Similarities of the assigned pairs, (min(N, M),).

    >>> matched_similarity([[0.6, 0.5], [0.9, 0.1]]).tolist()
    [0.5, 0.9]
    """
    matrix = np.asarray(similarity, np.float64)
    return matrix[best_pairs(matrix)]
