// The bindings of vectors: RowReader, and what writes and finds rows.
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "bind.h"
#include "common/threads.h"
#include "vectors/held_bytes.h"
#include "vectors/oov.h"
#include "vectors/python_tokens.h"
#include "vectors/row_file.h"
#include "vectors/token_file.h"
#include "vectors/vectors.h"
#include "vectors/write.h"

namespace py = pybind11;

namespace embrow {
namespace {

element element_of(const py::dtype& dtype) {
    switch (dtype.itemsize()) {
        case 2:
            return element::float16;
        case 8:
            return element::float64;
        default:
            return element::float32;
    }
}

// A row_store and the parser that fills it, as one Python object.
class row_reader {
  public:
    row_reader(const std::string& format, size_t dim, std::optional<int64_t> declared, int64_t limit, int64_t offset,
               py::dtype dtype, const std::string& unicode_errors,
               const std::optional<py::typing::List<py::str>>& wanted)
        : dtype_(std::move(dtype)),
          dim_(dim),
          store_(element_of(dtype_), dim, wanted.has_value(), wanted ? table_of(*wanted) : token_index{}) {
        const row_layout layout{dim, declared, limit, offset, policy_named(unicode_errors)};
        if (format == "word2vec-binary") {
            parser_ = make_binary_parser(layout, store_, element_of(dtype_));
        } else {
            parser_ = make_text_parser(layout, store_, element_of(dtype_), format == "glove");
        }
    }

    size_t feed(const py::buffer& window, bool last, int threads) {
        const held_bytes held(window);
        const released_gil released;
        return parser_->feed(held.bytes(), last, threads);
    }

    void reserve(size_t rows) { store_.reserve(rows); }

    py::array weight() {
        const auto rows = static_cast<py::ssize_t>(store_.kept());
        auto table = store_.release();
        const py::capsule owner(table.get(), [](void* memory) { std::free(memory); });
        void* const data = table.release();
        return py::array(dtype_, {rows, static_cast<py::ssize_t>(dim_)}, data, owner);
    }

    // Those kept since the last call.
    py::typing::List<py::str> new_tokens() {
        const int64_t begin = std::exchange(told_, store_.kept());
        return kept_tokens(store_, begin);
    }

    const row_store& store() const { return store_; }
    const row_parser& parser() const { return *parser_; }

  private:
    py::dtype dtype_;
    size_t dim_;
    row_store store_;
    std::unique_ptr<row_parser> parser_;
    int64_t told_ = 0;
};

template <class T>
using rows_of = py::array_t<T, py::array::c_style>;

// Rows as a file of vectors has them, each by append(out, token, row, dim).
template <class T, void append(std::string&, std::string_view, const T*, size_t)>
py::bytes file_rows(const py::typing::List<py::str>& tokens, const rows_of<T>& weight) {
    if (weight.ndim() != 2 || static_cast<size_t>(weight.shape(0)) != tokens.size()) {
        throw py::value_error("weight must have one row for each token");
    }
    std::string out;
    const auto dim = static_cast<size_t>(weight.shape(1));
    const T* row = weight.data();
    for (const py::handle token : tokens) {
        with_utf8(token, [&](std::string_view bytes) { append(out, bytes, row, dim); });
        row += dim;
    }
    return out;
}

using file_part = std::pair<uint64_t, uint64_t>;

py::array_t<int64_t> find_tokens(int descriptor, const rows_of<uint64_t>& seed, const file_part& index,
                                 const file_part& keys, const file_part& arena,
                                 const py::typing::List<py::str>& tokens) {
    if (seed.size() != 2) throw py::value_error("find_tokens: the seed has 2 words");
    const token_file file{descriptor,
                          {{seed.data()[0], seed.data()[1]}},
                          {index.first, index.second},
                          {keys.first, keys.second},
                          {arena.first, arena.second}};
    const token_index wanted = table_of(tokens);
    std::vector<std::string_view> texts(wanted.size());
    for (size_t i = 0; i < texts.size(); ++i) texts[i] = wanted.token(i);
    if (texts.size() != tokens.size()) throw py::value_error("find_tokens: a token occurs twice");
    py::array_t<int64_t> ids(static_cast<py::ssize_t>(texts.size()));
    int64_t* const out = ids.mutable_data();
    {
        const released_gil released;
        find_in_file(file, texts, out);
    }
    return ids;
}

void read_rows_at(int descriptor, uint64_t begin, const rows_of<int64_t>& rows, py::array& out, int threads) {
    if (out.ndim() != 2 || out.shape(0) != rows.size() || !(out.flags() & py::array::c_style)) {
        throw py::value_error("read_rows: out must have a row for each number");
    }
    const std::span<const int64_t> numbers(rows.data(), static_cast<size_t>(rows.size()));
    auto* const to = static_cast<std::byte*>(out.mutable_data());
    const auto row_bytes = static_cast<size_t>(out.shape(1) * out.itemsize());
    const released_gil released;
    read_rows(descriptor, begin, row_bytes, numbers, to, threads);
}

void fill_oov(rows_of<float> weight, const std::vector<int64_t>& rows, const py::typing::List<py::str>& tokens,
              bool uniform, uint64_t seed, const rows_of<double>& mean, const rows_of<double>& spread, int threads) {
    const auto dim = static_cast<size_t>(weight.shape(1));
    token_index table;
    std::vector<int64_t> ids;
    for (const py::handle token : tokens) {
        with_utf8(token, [&](std::string_view bytes) { ids.push_back(table.insert(bytes).first); });
    }
    if (ids.size() != rows.size() || static_cast<size_t>(mean.size()) != dim ||
        static_cast<size_t>(spread.size()) != dim) {
        throw py::value_error("fill_oov: lengths differ");
    }
    for (const int64_t row : rows) {
        if (row < 0 || row >= weight.shape(0)) throw py::index_error("fill_oov: no row " + std::to_string(row));
    }
    float* const data = weight.mutable_data();
    const released_gil released;
    constexpr size_t grain = 256;
    parallel_for(threads, task_count(rows.size(), grain), [&](size_t task) {
        for (size_t i = task * grain; i < std::min(rows.size(), (task + 1) * grain); ++i) {
            oov_row(uniform ? oov_kind::uniform : oov_kind::normal, seed, table.token(ids[i]), {mean.data(), dim},
                    {spread.data(), dim}, {data + static_cast<size_t>(rows[i]) * dim, dim});
        }
    });
}

}  // namespace

void bind_vectors(py::module_& m) {
    py::register_local_exception_translator([](std::exception_ptr raised) {
        try {
            if (raised) std::rethrow_exception(raised);
        } catch (const cut_short& fault) {
            PyErr_SetString(PyExc_EOFError, fault.what());
        } catch (const bad_vectors& fault) {
            PyErr_SetString(PyExc_ValueError, fault.what());
        } catch (const std::system_error& fault) {
            errno = fault.code().value();
            PyErr_SetFromErrno(PyExc_OSError);
        }
    });
    py::class_<row_reader>(m, "RowReader")
        .def(py::init<const std::string&, size_t, std::optional<int64_t>, int64_t, int64_t, py::dtype,
                      const std::string&, const std::optional<py::typing::List<py::str>>&>(),
             py::arg("format"), py::arg("dim"), py::arg("declared"), py::arg("limit"), py::arg("offset"),
             py::arg("dtype"), py::arg("unicode_errors"), py::arg("wanted"))
        .def("feed", &row_reader::feed, py::arg("window"), py::arg("last"), py::arg("threads"))
        .def("reserve", &row_reader::reserve, py::arg("rows"))
        .def("weight", &row_reader::weight)
        .def("new_tokens", &row_reader::new_tokens)
        .def_property_readonly("kept_ids", [](const row_reader& r) { return r.store().kept_ids(); })
        .def_property_readonly("done", [](const row_reader& r) { return r.parser().done(); })
        .def_property_readonly("offset", [](const row_reader& r) { return r.parser().offset(); })
        .def_property_readonly("rows_read", [](const row_reader& r) { return r.store().rows_read(); })
        .def_property_readonly("kept", [](const row_reader& r) { return r.store().kept(); })
        .def_property_readonly("duplicates", [](const row_reader& r) { return r.store().duplicates(); })
        .def_property_readonly("bad_utf8", [](const row_reader& r) { return r.store().bad_utf8_tokens(); });
    m.def("vectors_binary_rows", &file_rows<float, append_binary_row>, py::arg("tokens"),
          py::arg("weight").noconvert());
    m.def("vectors_text_rows", &file_rows<float, append_text_row>, py::arg("tokens"), py::arg("weight").noconvert());
    m.def("vectors_text_rows", &file_rows<double, append_text_row>, py::arg("tokens"), py::arg("weight").noconvert());
    m.def("vectors_find_tokens", &find_tokens, py::arg("descriptor"), py::arg("seed").noconvert(), py::arg("index"),
          py::arg("keys"), py::arg("arena"), py::arg("tokens"), "The id of each, or -1.");
    m.def("vectors_read_rows", &read_rows_at, py::arg("descriptor"), py::arg("begin"), py::arg("rows"), py::arg("out"),
          py::arg("threads"));
    m.def("vectors_fill_oov", &fill_oov, py::arg("weight").noconvert(), py::arg("rows"), py::arg("tokens"),
          py::arg("uniform"), py::arg("seed"), py::arg("mean"), py::arg("spread"), py::arg("threads"));
}

}  // namespace embrow
