// The bindings of subwords: Ngrams, DictionaryReader, vectors_add_rows.
#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "bind.h"
#include "common/threads.h"
#include "vectors/add_rows.h"
#include "vectors/dictionary.h"
#include "vectors/held_bytes.h"
#include "vectors/ngrams.h"
#include "vectors/python_tokens.h"

namespace py = pybind11;

namespace embrow {
namespace {

template <class T>
using packed = py::array_t<T, py::array::c_style>;

using any_tuple = py::typing::Tuple<py::object, py::ellipsis>;

// An ngram_rows and what it was made of, to pickle it by.
class ngrams {
  public:
    ngrams(py::tuple state, std::unique_ptr<ngram_rows> rows) : state_(std::move(state)), rows_(std::move(rows)) {}

    static ngrams fasttext(int32_t min_chars, int32_t max_chars, uint32_t buckets, bool end_has_ngrams,
                           const std::optional<packed<int32_t>>& kept) {
        fasttext_ngrams rules{min_chars, max_chars, buckets, end_has_ngrams, kept.has_value(), {}};
        if (max_chars > static_cast<int32_t>(max_ngram_chars) || buckets == 0) {
            throw py::value_error("n-grams: max_chars is too large, or buckets is 0");
        }
        if (kept) {
            if (kept->ndim() != 2 || kept->shape(1) != 2) throw py::value_error("n-grams: kept must be pairs");
            for (py::ssize_t i = 0; i < kept->shape(0); ++i) {
                if (kept->at(i, 1) < 0) throw py::value_error("n-grams: a row is negative");
                rules.kept.emplace_back(kept->at(i, 0), kept->at(i, 1));
            }
            // The last of a repeated bucket counts, as in fastText.
            std::stable_sort(rules.kept.begin(), rules.kept.end(),
                             [](const auto& a, const auto& b) { return a.first < b.first; });
            const auto last = std::unique(rules.kept.rbegin(), rules.kept.rend(),
                                          [](const auto& a, const auto& b) { return a.first == b.first; });
            rules.kept.erase(rules.kept.begin(), last.base());
        }
        return {py::make_tuple("fasttext", min_chars, max_chars, buckets, end_has_ngrams, kept),
                make_fasttext_ngrams(std::move(rules))};
    }

    static ngrams finalfusion(bool power, uint32_t min_chars, uint32_t max_chars, uint32_t size) {
        if (min_chars == 0 || max_chars > max_ngram_chars || size == 0 || (power && size > 47)) {
            throw py::value_error("n-grams: min_chars, max_chars or the number of buckets is out of range");
        }
        return {py::make_tuple("finalfusion", power, min_chars, max_chars, size),
                make_finalfusion_ngrams(power ? finalfusion_index::buckets : finalfusion_index::fasttext, min_chars,
                                        max_chars, size)};
    }

    static ngrams listed(uint32_t min_chars, uint32_t max_chars, const py::typing::List<py::str>& tokens,
                         std::vector<int64_t> rows) {
        if (min_chars == 0 || max_chars > max_ngram_chars || tokens.size() != rows.size()) {
            throw py::value_error("n-grams: min_chars or max_chars is out of range, or lengths differ");
        }
        token_index table = table_of(tokens);
        if (table.size() != rows.size()) throw py::value_error("n-grams: one is listed twice");
        return {py::make_tuple("listed", min_chars, max_chars, tokens, rows),
                make_listed_ngrams(min_chars, max_chars, std::move(table), std::move(rows))};
    }

    static ngrams restored(const py::tuple& state) {
        const auto kind = state[0].cast<std::string>();
        if (kind == "fasttext") {
            return fasttext(state[1].cast<int32_t>(), state[2].cast<int32_t>(), state[3].cast<uint32_t>(),
                            state[4].cast<bool>(), state[5].cast<std::optional<packed<int32_t>>>());
        }
        if (kind == "finalfusion") {
            return finalfusion(state[1].cast<bool>(), state[2].cast<uint32_t>(), state[3].cast<uint32_t>(),
                               state[4].cast<uint32_t>());
        }
        return listed(state[1].cast<uint32_t>(), state[2].cast<uint32_t>(), state[3].cast<py::typing::List<py::str>>(),
                      state[4].cast<std::vector<int64_t>>());
    }

    // Offsets, tokens + 1, and the rows of all tokens, one token after the other.
    std::tuple<packed<int64_t>, packed<int64_t>> rows(const py::typing::List<py::object>& tokens, int threads) const {
        std::vector<size_t> ends{0};
        std::string bytes;
        for (const py::handle token : tokens) {
            if (PyBytes_Check(token.ptr())) {
                bytes.append(PyBytes_AS_STRING(token.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(token.ptr())));
            } else {
                with_utf8(token, [&](std::string_view text) { bytes.append(text); });
            }
            ends.push_back(bytes.size());
        }
        std::vector<int64_t> offsets{0};
        std::vector<int64_t> all;
        {
            const released_gil released;
            append_all(bytes, ends, offsets, all, threads);
        }
        return {array_of(std::move(offsets)), array_of(std::move(all))};
    }

    int64_t bound() const { return rows_->bound(); }
    const py::tuple& state() const { return state_; }

  private:
    void append_all(const std::string& bytes, const std::vector<size_t>& ends, std::vector<int64_t>& offsets,
                    std::vector<int64_t>& all, int threads) const {
        constexpr size_t grain = 512;
        const size_t tokens = ends.size() - 1;
        struct part {
            std::vector<int64_t> ends;
            std::vector<int64_t> rows;
        };
        std::vector<part> parts(task_count(tokens, grain));
        parallel_for(threads, parts.size(), [&](size_t task) {
            part& mine = parts[task];
            for (size_t i = task * grain; i < std::min(tokens, (task + 1) * grain); ++i) {
                rows_->append(std::string_view(bytes).substr(ends[i], ends[i + 1] - ends[i]), mine.rows);
                mine.ends.push_back(static_cast<int64_t>(mine.rows.size()));
            }
        });
        for (const part& found : parts) {
            const auto before = static_cast<int64_t>(all.size());
            for (const int64_t end : found.ends) offsets.push_back(before + end);
            all.insert(all.end(), found.rows.begin(), found.rows.end());
        }
    }

    py::tuple state_;
    std::unique_ptr<ngram_rows> rows_;
};

// A store without elements, and the parser that fills it, as one Python object.
class dictionary_reader {
  public:
    dictionary_reader(const std::string& entries, const dictionary_layout& layout,
                      const std::optional<py::typing::List<py::str>>& wanted)
        : store_(element::float32, 0, wanted.has_value(), wanted ? table_of(*wanted) : token_index{}) {
        if (entries == "fasttext") {
            parser_ = make_fasttext_dictionary(layout, store_);
        } else {
            parser_ = make_finalfusion_dictionary(layout, store_, entries == "listed");
        }
    }

    size_t feed(const py::buffer& window, bool last) {
        const held_bytes held(window);
        const released_gil released;
        return parser_->feed(held.bytes(), last);
    }

    packed<int64_t> rows() const { return array_of(std::vector<int64_t>(parser_->rows())); }
    py::typing::Dict<py::int_, py::bytes> mended() const {
        py::typing::Dict<py::int_, py::bytes> found;
        for (const auto& [place, word] : parser_->mended()) found[py::int_(place)] = py::bytes(word);
        return found;
    }

    const row_store& store() const { return store_; }
    const dictionary_parser& parser() const { return *parser_; }

  private:
    row_store store_;
    std::unique_ptr<dictionary_parser> parser_;
};

void add_table_rows(packed<float> sums, const packed<float>& table, const packed<int64_t>& offsets,
                    const packed<int64_t>& ids, int threads) {
    if (sums.ndim() != 2 || table.ndim() != 2 || sums.shape(1) != table.shape(1) ||
        offsets.size() != sums.shape(0) + 1 || *offsets.data(0) != 0 ||
        *offsets.data(offsets.size() - 1) != ids.size() ||
        !std::is_sorted(offsets.data(), offsets.data() + offsets.size())) {
        throw py::value_error("add_rows: shapes differ, or offsets do not cover ids");
    }
    const int64_t* const id = ids.data();
    const auto rows = static_cast<uint64_t>(table.shape(0));
    const int64_t* const bad =
        std::find_if(id, id + ids.size(), [&](int64_t row) { return static_cast<uint64_t>(row) >= rows; });
    if (bad != id + ids.size()) throw py::index_error("add_rows: no row " + std::to_string(*bad));
    float* const to = sums.mutable_data();
    const std::span bounds(offsets.data(), static_cast<size_t>(offsets.size()));
    const auto dim = static_cast<size_t>(sums.shape(1));
    const released_gil released;
    add_rows(to, dim, table.data(), bounds, id, threads);
}

}  // namespace

void bind_subwords(py::module_& m) {
    py::class_<ngrams>(m, "Ngrams")
        .def_static("fasttext", &ngrams::fasttext, py::arg("min_chars"), py::arg("max_chars"), py::arg("buckets"),
                    py::arg("end_has_ngrams"), py::arg("kept"))
        .def_static("finalfusion", &ngrams::finalfusion, py::arg("power"), py::arg("min_chars"), py::arg("max_chars"),
                    py::arg("size"))
        .def_static("listed", &ngrams::listed, py::arg("min_chars"), py::arg("max_chars"), py::arg("tokens"),
                    py::arg("rows"))
        .def("rows", &ngrams::rows, py::arg("tokens"), py::arg("threads"))
        .def_property_readonly("bound", &ngrams::bound)
        .def(py::pickle([](const ngrams& made) { return py::reinterpret_borrow<any_tuple>(made.state()); },
                        [](const any_tuple& state) { return ngrams::restored(state); }));
    py::class_<dictionary_reader>(m, "DictionaryReader")
        .def(py::init([](const std::string& entries, int64_t words, int64_t declared, int64_t limit, int64_t offset,
                         const std::string& unicode_errors, const std::optional<py::typing::List<py::str>>& wanted) {
                 return std::make_unique<dictionary_reader>(
                     entries, dictionary_layout{words, declared, limit, offset, policy_named(unicode_errors)}, wanted);
             }),
             py::arg("entries"), py::arg("words"), py::arg("declared"), py::arg("limit"), py::arg("offset"),
             py::arg("unicode_errors"), py::arg("wanted"))
        .def("feed", &dictionary_reader::feed, py::arg("window"), py::arg("last"))
        .def("tokens", [](const dictionary_reader& r) { return kept_tokens(r.store()); })
        .def("rows", &dictionary_reader::rows)
        .def("mended", &dictionary_reader::mended)
        .def_property_readonly("kept_ids", [](const dictionary_reader& r) { return r.store().kept_ids(); })
        .def_property_readonly("done", [](const dictionary_reader& r) { return r.parser().done(); })
        .def_property_readonly("entry", [](const dictionary_reader& r) { return r.parser().entry_number(); })
        .def_property_readonly("duplicates", [](const dictionary_reader& r) { return r.store().duplicates(); })
        .def_property_readonly("bad_utf8", [](const dictionary_reader& r) { return r.store().bad_utf8_tokens(); });
    m.def("vectors_add_rows", &add_table_rows, py::arg("sums").noconvert(), py::arg("table").noconvert(),
          py::arg("offsets").noconvert(), py::arg("ids").noconvert(), py::arg("threads"));
}

}  // namespace embrow
