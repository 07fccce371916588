"""From text to embedding rows, at memory speed."""

from embrow._core import __version__
from embrow.vectors import EmbeddingMatrix, WordVectors, embedding_matrix, load_vectors

__all__ = ["EmbeddingMatrix", "WordVectors", "__version__", "embedding_matrix", "load_vectors"]
