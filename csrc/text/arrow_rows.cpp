// Arrow arrays and streams through the PyCapsule interface, without pyarrow.
// Format: "The Arrow C data interface" and "The Arrow C stream interface", whose structs are declared here.
#include <cstring>
#include <string>

#include "text/python_rows.h"

namespace py = pybind11;

namespace embrow {
namespace {

struct ArrowSchema {
    const char* format;
    const char* name;
    const char* metadata;
    int64_t flags;
    int64_t n_children;
    ArrowSchema** children;
    ArrowSchema* dictionary;
    void (*release)(ArrowSchema*);
    void* private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void** buffers;
    ArrowArray** children;
    ArrowArray* dictionary;
    void (*release)(ArrowArray*);
    void* private_data;
};

struct ArrowArrayStream {
    int (*get_schema)(ArrowArrayStream*, ArrowSchema*);
    int (*get_next)(ArrowArrayStream*, ArrowArray*);
    const char* (*get_last_error)(ArrowArrayStream*);
    void (*release)(ArrowArrayStream*);
    void* private_data;
};

// A struct of the interface, moved here from its producer and released with this.
template <class Struct>
struct moved {
    Struct value{};

    moved() = default;
    explicit moved(Struct* from) : value(*from) { from->release = nullptr; }
    moved(moved&& other) noexcept : value(other.value) { other.value.release = nullptr; }
    moved& operator=(moved&&) = delete;
    ~moved() {
        if (value.release) value.release(&value);
    }
};

template <class Struct>
Struct* from_capsule(const py::object& capsule, const char* name, const char* what, const text_rules& rules) {
    auto* found = static_cast<Struct*>(PyCapsule_GetPointer(capsule.ptr(), name));
    if (!found) throw py::error_already_set();
    // Who has moved a struct away leaves it released, and the rest of it unset.
    if (!found->release) {
        throw py::value_error(rules.doing + ": the Arrow " + what + " has been read already; export it anew");
    }
    return found;
}

class reader {
  public:
    reader(const text_rules& rules, text_rows& rows) : rules_(rules), rows_(rows) {}

    void read(const ArrowSchema& schema, const ArrowArray& array) {
        if (schema.dictionary) {
            read_dictionary(schema, array);
        } else {
            append(schema.format, array);
        }
    }

  private:
    // Buffers: validity, then as the format has it. An absent validity means no nulls.
    static bool is_null(const ArrowArray& array, int64_t row) {
        const auto* valid = static_cast<const uint8_t*>(array.buffers[0]);
        const int64_t bit = array.offset + row;
        return array.null_count != 0 && valid && !(valid[bit / 8] >> (bit % 8) & 1);
    }

    void append(const char* format, const ArrowArray& array) {
        if (!std::strcmp(format, "u") || !std::strcmp(format, "z")) {
            append_offsets<int32_t>(array);
        } else if (!std::strcmp(format, "U") || !std::strcmp(format, "Z")) {
            append_offsets<int64_t>(array);
        } else if (!std::strcmp(format, "vu") || !std::strcmp(format, "vz")) {
            append_views(array);
        } else if (!std::strcmp(format, "n")) {
            for (int64_t row = 0; row < array.length; ++row) append_null();
        } else {
            throw py::type_error(rules_.doing + ": Arrow type with format \"" + format + "\" holds no text; " +
                                 instead_of(format));
        }
    }

    static const char* instead_of(const std::string& format) {
        if (format == "+s") return "pass one of its columns";
        // Lists have "+l", "+L", "+vl", "+vL", or "+w:" and their length.
        const bool lists = format[0] == '+' && format.find_first_of("lLvw") == 1;
        return lists ? "pass a list of lists of tokens (.tolist())" : "cast it to a string";
    }

    void append_row(const char* data, int64_t size) {
        if (size < 0) {
            throw py::value_error(rules_.where(rows_.rows.size()) + ": Arrow offsets decrease");
        }
        rows_.rows.emplace_back(data, static_cast<size_t>(size), encoding::unchecked_utf8);
    }

    void append_null() {
        if (!rules_.take_nulls()) rules_.refuse_null(rows_.rows.size());
        rows_.rows.push_back(text_row());
    }

    template <class Offset>
    void append_offsets(const ArrowArray& array) {
        if (array.length == 0) return;
        const auto* offsets = static_cast<const Offset*>(array.buffers[1]) + array.offset;
        const auto* data = static_cast<const char*>(array.buffers[2]);
        rows_.rows.reserve(rows_.rows.size() + static_cast<size_t>(array.length));
        for (int64_t row = 0; row < array.length; ++row) {
            if (is_null(array, row)) {
                append_null();
            } else {
                append_row(data + offsets[row], static_cast<int64_t>(offsets[row + 1]) - offsets[row]);
            }
        }
    }

    // Views of 16 bytes: size: 4, then 12 bytes of text or prefix: 4, buffer: 4, offset: 4. Buffers: validity, views,
    // the data buffers, their sizes.
    void append_views(const ArrowArray& array) {
        if (array.length == 0) return;
        struct view {
            int32_t size;
            char text[4];
            int32_t buffer;
            int32_t offset;
        };
        const auto* views = static_cast<const view*>(array.buffers[1]) + array.offset;
        rows_.rows.reserve(rows_.rows.size() + static_cast<size_t>(array.length));
        for (int64_t row = 0; row < array.length; ++row) {
            const view& found = views[row];
            if (is_null(array, row)) {
                append_null();
            } else if (found.size <= 12) {
                append_row(reinterpret_cast<const char*>(&found) + 4, found.size);
            } else {
                append_row(static_cast<const char*>(array.buffers[2 + found.buffer]) + found.offset, found.size);
            }
        }
    }

    // Values go to the rows once, whatever the number of rows that are one of them.
    void read_dictionary(const ArrowSchema& schema, const ArrowArray& array) {
        const auto first = static_cast<int64_t>(rows_.rows.size());
        // A dictionary of no values has no type to speak of, as that of a column that is all null.
        if (array.dictionary->length > 0) {
            const text_rules any{rules_.doing, null_rows::empty};
            reader(any, rows_).append(schema.dictionary->format, *array.dictionary);
        }
        const int64_t values = static_cast<int64_t>(rows_.rows.size()) - first;
        const bool values_are_null = !std::strcmp(schema.dictionary->format, "n");
        rows_.picked = true;
        rows_.picks.reserve(rows_.picks.size() + static_cast<size_t>(array.length));
        for (int64_t row = 0; row < array.length; ++row) {
            int64_t value = text_rows::none;
            if (!is_null(array, row)) {
                value = index_at(*schema.format, array.buffers[1], array.offset + row);
                if (value < 0 || value >= values) {
                    throw py::value_error(rules_.where(rows_.picks.size()) + ": Arrow dictionary index " +
                                          std::to_string(value) + " is outside its " + std::to_string(values) +
                                          " values");
                }
                // The null type has no validity to read.
                const bool none = values_are_null || is_null(*array.dictionary, value);
                value = none ? text_rows::none : first + value;
            }
            if (value == text_rows::none && !rules_.take_nulls()) rules_.refuse_null(rows_.picks.size());
            rows_.picks.push_back(value);
        }
    }

    int64_t index_at(char format, const void* buffer, int64_t at) const {
        switch (format) {
            case 'c':
                return static_cast<const int8_t*>(buffer)[at];
            case 'C':
                return static_cast<const uint8_t*>(buffer)[at];
            case 's':
                return static_cast<const int16_t*>(buffer)[at];
            case 'S':
                return static_cast<const uint16_t*>(buffer)[at];
            case 'i':
                return static_cast<const int32_t*>(buffer)[at];
            case 'I':
                return static_cast<const uint32_t*>(buffer)[at];
            case 'l':
            case 'L':
                return static_cast<const int64_t*>(buffer)[at];
            default:
                throw py::type_error(rules_.doing + ": Arrow dictionary indices with format \"" + format +
                                     "\" are no integers");
        }
    }

    const text_rules& rules_;
    text_rows& rows_;
};

void read_stream(const py::object& capsule, const text_rules& rules, reader& into,
                 std::vector<moved<ArrowArray>>& chunks) {
    moved<ArrowArrayStream> stream(from_capsule<ArrowArrayStream>(capsule, "arrow_array_stream", "stream", rules));
    const auto check = [&](int status) {
        if (status == 0) return;
        const char* said = stream.value.get_last_error(&stream.value);
        throw py::value_error(rules.doing + ": the Arrow stream fails: " + (said ? said : std::strerror(status)));
    };
    moved<ArrowSchema> schema;
    check(stream.value.get_schema(&stream.value, &schema.value));
    for (;;) {
        moved<ArrowArray> chunk;
        check(stream.value.get_next(&stream.value, &chunk.value));
        if (!chunk.value.release) return;
        into.read(schema.value, chunk.value);
        chunks.push_back(std::move(chunk));
    }
}

// What a method gives, or null where it cannot export the rows and they can be iterated over, to be told which is why:
// pandas exports through pyarrow, which may be missing, and knows of no row that is no text, or text that is no UTF-8.
py::object exported(py::handle texts, const char* method) {
    try {
        return texts.attr(method)();
    } catch (py::error_already_set& error) {
        if (error.matches(PyExc_ImportError)) return {};
        const bool refused = error.matches(PyExc_TypeError) || error.matches(PyExc_ValueError);
        if (!refused || !py::hasattr(texts, "__iter__")) throw;
        return {};
    }
}

}  // namespace

bool read_arrow(py::handle texts, const text_rules& rules, borrowed_text& text) {
    auto chunks = std::make_shared<std::vector<moved<ArrowArray>>>();
    reader into(rules, text.rows);
    if (py::hasattr(texts, "__arrow_c_stream__")) {
        const py::object capsule = exported(texts, "__arrow_c_stream__");
        if (!capsule) return false;
        read_stream(capsule, rules, into, *chunks);
    } else if (py::hasattr(texts, "__arrow_c_array__")) {
        const py::object found = exported(texts, "__arrow_c_array__");
        if (!found) return false;
        const py::tuple pair = found;
        const moved<ArrowSchema> schema(from_capsule<ArrowSchema>(pair[0], "arrow_schema", "schema", rules));
        chunks->emplace_back(from_capsule<ArrowArray>(pair[1], "arrow_array", "array", rules));
        into.read(schema.value, chunks->back().value);
    } else {
        return false;
    }
    text.memory = chunks;
    return true;
}

}  // namespace embrow
