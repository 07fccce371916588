"""Pretrained vectors: any file, only the rows you need."""

from embrow.vectors._load import info, load_vectors
from embrow.vectors._matrix import Coverage, EmbeddingMatrix, embedding_matrix
from embrow.vectors._word_vectors import LoadReport, WordVectors

__all__ = ["Coverage", "EmbeddingMatrix", "LoadReport", "WordVectors", "embedding_matrix", "info", "load_vectors"]
