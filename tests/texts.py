"""Text to test with: strategies and shapes that have broken splitters."""

from __future__ import annotations

from hypothesis import strategies as st

SPACES = [chr(i) for i in range(0x110000) if chr(i).isspace()]
# Case and class at their oddest: final sigma, dotted I, modifier letters, combining marks, digits beyond ASCII.
ODD = "ΣσςİıßǅʰͅaA1_'.-·\u0301\u00adé٣漢語🙂\x00\x7f\u200b\ufeff"

tokens = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
rows = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.text(st.sampled_from([*SPACES, *ODD]), max_size=200),
    st.text(st.sampled_from("ab \t"), max_size=300),
    st.builds(lambda a, b, n: a * n + b, st.sampled_from(["x", "é", " ", "\u3000", "Σ"]), tokens, st.integers(0, 5000)),
)

EDGES = [
    "",
    " ",
    "a",
    "a b",
    "\x00",
    "a\x00 a",
    "\u3000",
    *(" " * n + "x" + " " * n for n in (1, 31, 32, 63, 64, 65)),
    *("x" * n for n in (11, 12, 13, 15, 16, 17, 63, 64, 65, 2047, 2048, 2049, 5000)),
    *(" " * n for n in (2047, 2048, 2049)),
    *("x " * n + "y" for n in (1023, 1024, 2048)),
    *("x" * n + "\u2003" + "y" * 70 for n in (60, 61, 62, 63, 64, 125, 2045, 2046, 2047)),
    *("x" * n + "é" + "." for n in (61, 62, 63, 2047)),
    " ".join("ab" for _ in range(3000)),
    "ΑΣ Σ ΑΣΑ Σ' aΣʰ aʰΣ İstanbul",
]
