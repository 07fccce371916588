"""Write unicode_tables.h: what this Python's str knows of each code point, as two-stage tables.

Everything is asked of str itself, so the tables agree with the running interpreter by construction:
space is str.isspace, word is what re's \\w accepts, the lower case is str.lower, and the two classes that the final
sigma rule of str.lower depends on are found by putting each code point beside a capital sigma.
"""

import sys
import unicodedata

SPACE, WORD, CASED, IGNORABLE = 1, 2, 4, 8
SIGMA, FINAL_SIGMA = "\u03a3", "\u03c2"
BLOCK = 128


def flags(char: str) -> int:
    found = 0
    if char.isspace():
        found |= SPACE
    if char.isalnum() or char == "_":
        found |= WORD
    if (char + SIGMA).lower().endswith(FINAL_SIGMA):
        found |= CASED
    elif ("A" + char + SIGMA).lower().endswith(FINAL_SIGMA):
        found |= IGNORABLE
    return found


def two_stage(values: list[int]) -> tuple[list[int], list[int]]:
    """Split values in blocks of BLOCK; equal blocks are stored once."""
    blocks: dict[tuple[int, ...], int] = {}
    index = []
    for start in range(0, len(values), BLOCK):
        index.append(blocks.setdefault(tuple(values[start : start + BLOCK]), len(blocks)))
    return index, [value for block in blocks for value in block]


def array(kind: str, name: str, values: list[int]) -> str:
    lines = [", ".join(map(str, values[i : i + 24])) for i in range(0, len(values), 24)]
    return f"inline constexpr {kind} {name}[{len(values)}] = {{\n    " + ",\n    ".join(lines) + "};\n"


def main(path: str) -> None:
    code_points = [chr(i) for i in range(0x110000)]
    property_index, properties = two_stage([flags(c) for c in code_points])

    # str.lower of one code point is one code point, except for those listed in `expanding`.
    expanding = [c for c in code_points if len(c.lower()) != 1]
    if [(c, len(c.lower())) for c in expanding] != [("\u0130", 2)]:
        sys.exit(f"str.lower() expands {expanding!r}; csrc/text/lower.cpp knows U+0130 alone")
    deltas = [0 if c in expanding else ord(c.lower()) - ord(c) for c in code_points]
    lower_index, lower_deltas = two_stage(deltas)

    with open(path, "w", encoding="ascii") as out:
        out.write(
            "// Made by make_unicode_tables.py from the building interpreter; do not edit.\n"
            "#pragma once\n\n#include <cstdint>\n\nnamespace embrow::unicode_tables {\n\n"
            f'inline constexpr char version[] = "{unicodedata.unidata_version}";\n'
            f"inline constexpr uint32_t block = {BLOCK};\n"
        )
        out.write(array("uint16_t", "property_index", property_index))
        out.write(array("uint8_t", "properties", properties))
        out.write(array("uint16_t", "lower_index", lower_index))
        out.write(array("int32_t", "lower_deltas", lower_deltas))
        out.write("\n}  // namespace embrow::unicode_tables\n")


if __name__ == "__main__":
    main(sys.argv[1])
