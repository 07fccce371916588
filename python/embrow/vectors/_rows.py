"""word2vec's formats and GloVe's -> rows, by the parsers of csrc/vectors."""

from __future__ import annotations

from embrow import _core
from embrow.vectors._array import read_to_end
from embrow.vectors._request import NO_LIMIT, Facts, Request
from embrow.vectors._word_vectors import LoadReport, WordVectors

_BLANK = b" \t\r\n\0"
# Of a compressed file's bytes to those in it, as far as memory is asked for before they come.
_LIKELY_RATIO = 4


def facts(request: Request) -> Facts:
    layout = request.layout
    return Facts(layout.declared, layout.dim, "float32" if layout.format == "word2vec-binary" else "text")


def load(request: Request) -> WordVectors:
    layout, source, window, wanted = request.layout, request.source, request.window, request.wanted
    # The fewest bytes of a row: a number and the space before it take two at least, a token and its space one.
    row_bytes = 4 * layout.dim + 1 if layout.format == "word2vec-binary" else 2 * layout.dim
    room = max(0, source.most_bytes - layout.start)
    goal = min(request.limit, NO_LIMIT if layout.declared is None else layout.declared)
    if layout.declared is not None and goal * row_bytes > room:
        raise EOFError(
            f"the header declares {layout.declared} rows of {layout.dim}, the file has only {source.total} bytes: it "
            f"ends there, at token {room // row_bytes} or before"
        )
    window.use(layout.start)
    reader = _core.RowReader(
        layout.format,
        layout.dim,
        layout.declared,
        request.limit,
        layout.start,
        request.dtype,
        request.unicode_errors,
        wanted,
    )
    most = goal if wanted is None else min(goal, len(wanted))
    if layout.declared is not None:
        reader.reserve(min(most, _LIKELY_RATIO * source.total // row_bytes))
    estimated = 0
    kept: list[str] = []
    while not reader.done:
        with window.view() as held:
            used = reader.feed(held, window.last, request.threads)
        window.use(used)
        if wanted is None:
            kept += reader.new_tokens()
        if layout.declared is None and not estimated and reader.rows_read:
            # Growing a table of hundreds of megabytes costs more than its rows.
            estimated = _LIKELY_RATIO if source.compression else 1
            reader.reserve(min(most, estimated * source.total * reader.rows_read // reader.offset))
        if reader.done or (window.last and layout.declared is None):
            break
        window.fill(f"in token {reader.rows_read}")
    if layout.declared is not None and reader.rows_read == layout.declared:
        read_to_end(request, reader.offset, layout.declared, _BLANK)
    report = LoadReport(reader.rows_read, layout.declared, reader.kept, reader.duplicates, reader.bad_utf8)
    if wanted is not None:
        kept = [wanted[i] for i in reader.kept_ids]
    return WordVectors(kept, reader.weight(), report)
