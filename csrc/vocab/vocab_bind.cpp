// The bindings of vocab: VocabTable, TokenCounts.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <unordered_set>

#include "bind.h"
#include "common/threads.h"
#include "text/python_rows.h"
#include "vocab/count.h"
#include "vocab/counter.h"
#include "vocab/table.h"

namespace py = pybind11;

namespace embrow {
namespace {

py::str to_str(std::string_view text) {
    PyObject* made = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(made);
}

// Tokens of a Python sequence as UTF-8, which lasts as long as this.
class token_texts {
  public:
    token_texts(py::handle tokens, const char* doing) : rows_(tokens, {.doing = doing, .are_tokens = true}) {
        rows_.read([&](const text_rows& rows) {
            text_rows one;
            for (size_t row = 0; row < rows.size(); ++row) one.rows.push_back(rows.text(row));
            one.offsets = {0, static_cast<int64_t>(rows.size())};
            fault_ = reader_.read(one, 0, [&](const token_run& run) {
                for (size_t i = 0; i < run.count; ++i) texts_.push_back(run.token(i));
            });
        });
        if (fault_) rows_.raise(static_cast<int64_t>(texts_.size()), *fault_);
    }

    std::span<const std::string_view> get() const noexcept { return texts_; }

  private:
    python_rows rows_;
    token_reader reader_{text_options{}};
    std::vector<std::string_view> texts_;
    std::optional<text_fault> fault_;
};

vocab_table build_table(py::handle tokens) {
    const token_texts texts(tokens, "Vocab");
    try {
        const released_gil released;
        return vocab_table::build(texts.get(), random_seed());
    } catch (const repeated_token& error) {
        throw py::value_error("Vocab: token " + std::to_string(error.id) + " is token " +
                              std::to_string(error.first_id) + " once more: " + shown_token(texts.get()[error.id]));
    }
}

template <class T>
py::array view_of(std::span<const T> span, py::handle owner) {
    return py::array(py::dtype("u1"), {span.size_bytes()}, {size_t{1}}, span.data(), owner);
}

template <class T>
std::span<const T> span_of(const py::array_t<uint8_t, py::array::c_style>& bytes, const char* what) {
    const auto size = static_cast<size_t>(bytes.nbytes());
    if (size % sizeof(T) != 0 || reinterpret_cast<uintptr_t>(bytes.data()) % alignof(T) != 0) {
        throw py::value_error(std::string("vocabulary table: ") + what + " of " + std::to_string(size) +
                              " bytes is cut short or not aligned");
    }
    return {reinterpret_cast<const T*>(bytes.data()), size / sizeof(T)};
}

using byte_array = py::array_t<uint8_t, py::array::c_style>;

vocab_table table_from_parts(const byte_array& seed, const byte_array& index, const byte_array& keys,
                             const byte_array& arena) {
    const auto words = span_of<uint64_t>(seed, "seed");
    vocab_table::parts parts{};
    if (words.size() != parts.seed.word.size())
        throw py::value_error("vocabulary table: the seed has 2 words of 8 bytes");
    std::copy(words.begin(), words.end(), parts.seed.word.begin());
    parts.index = span_of<uint32_t>(index, "index");
    parts.keys = span_of<token_key>(keys, "keys");
    parts.arena = span_of<char>(arena, "arena");
    // The arrays are let go of with the GIL held, whoever drops the table.
    auto arrays = std::make_unique<std::array<py::array, 3>>(std::array<py::array, 3>{index, keys, arena});
    parts.owner = std::shared_ptr<const void>(arrays.release(), [](const void* held) {
        const py::gil_scoped_acquire acquired;
        delete static_cast<const std::array<py::array, 3>*>(held);
    });
    const released_gil released;
    return vocab_table::adopt(std::move(parts));
}

using part_arrays = py::typing::Dict<py::str, py::array_t<uint8_t>>;

part_arrays parts_of(const py::object& self) {
    const auto& parts = self.cast<const vocab_table&>().raw();
    part_arrays made;
    made["seed"] = view_of<uint64_t>(parts.seed.word, self);
    made["index"] = view_of(parts.index, self);
    made["keys"] = view_of(parts.keys, self);
    made["arena"] = view_of(parts.arena, self);
    return made;
}

int32_t find(const vocab_table& table, const py::str& token) {
    // A copy: PyUnicode_AsUTF8AndSize would keep one inside the str for good.
    const auto bytes = py::reinterpret_steal<py::bytes>(PyUnicode_AsUTF8String(token.ptr()));
    if (!bytes) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) throw py::error_already_set();
        PyErr_Clear();  // a lone surrogate, which no token has
        return no_id;
    }
    return table.find(static_cast<std::string_view>(bytes));
}

py::typing::List<py::str> tokens_of(const vocab_table& table) {
    py::typing::List<py::str> made(table.size());
    for (size_t id = 0; id < table.size(); ++id) made[id] = to_str(table.token(id));
    return made;
}

py::typing::List<py::str> decode(const vocab_table& table,
                                 const py::array_t<int64_t, py::array::c_style | py::array::forcecast>& ids,
                                 const std::vector<int64_t>& skipped) {
    const std::unordered_set<int64_t> skip(skipped.begin(), skipped.end());
    py::typing::List<py::str> made;
    for (py::ssize_t i = 0; i < ids.size(); ++i) {
        const int64_t id = ids.data()[i];
        if (id < 0 || id >= static_cast<int64_t>(table.size())) {
            throw py::index_error("decode: id " + std::to_string(id) + " at position " + std::to_string(i) +
                                  " is outside a vocabulary of " + std::to_string(table.size()));
        }
        if (!skip.contains(id)) made.append(to_str(table.token(static_cast<size_t>(id))));
    }
    return made;
}

// A mutex that remembers the process of the thread that holds it: a forked child has no such thread, and would wait for
// it for ever.
class process_mutex {
  public:
    // Throws where a thread of the parent's had it when this process was forked.
    void lock() {
        const unsigned here = fork_count() + 1;
        unsigned holder = free;
        while (!holder_.compare_exchange_strong(holder, here, std::memory_order_acquire)) {
            if (holder != here) {
                throw std::runtime_error(
                    "TokenCounter: another thread was at work on it when this process was forked, and is not here to "
                    "end that; use a counter made since, or fork when none is at work");
            }
            holder_.wait(holder, std::memory_order_relaxed);
            holder = free;
        }
    }

    void unlock() noexcept {
        holder_.store(free, std::memory_order_release);
        holder_.notify_one();
    }

  private:
    static constexpr unsigned free = 0;
    std::atomic<unsigned> holder_{free};  // else the holder's fork_count() + 1
};

// A counter that many Python threads may use at once.
class shared_counts {
  public:
    shared_counts() : counts_(random_seed()) {}

    // use(counts) alone. To be called without the GIL, for which the holder of the lock may wait.
    template <class Use>
    auto locked(Use&& use) {
        const std::scoped_lock lock(mutex_);
        return use(counts_);
    }

    template <class Use>
    auto without_gil(Use&& use) {
        const released_gil released;
        return locked(use);
    }

  private:
    process_mutex mutex_;
    token_counts counts_;
};

void update(shared_counts& shared, py::handle texts, const std::string& tokenizer_name, bool lowercase,
            std::optional<bool> nulls_empty, int threads, const std::string& doing, size_t first_row) {
    const text_options options = text_options_of(tokenizer_name, lowercase);
    python_rows rows(texts, {doing, null_rows_of(nulls_empty), first_row});
    first_fault<text_fault> fault;
    rows.read([&](const text_rows& read) {
        shared.locked([&](token_counts& counts) { count_tokens(counts, read, options, threads, fault); });
    });
    if (fault) rows.raise(fault.position(), fault.detail());
}

void merge(shared_counts& shared, shared_counts& other) {
    // A copy first, so that two counters merged into each other at once do not wait for each other's lock.
    const token_counts copied = other.without_gil([](const token_counts& counts) { return counts; });
    shared.without_gil([&](token_counts& counts) { counts.merge(copied); });
}

// Tokens with their counts, first seen first or ranked; at most `limit` of them unless it is negative.
py::typing::List<py::typing::Tuple<py::str, py::int_>> items(shared_counts& shared, bool ranked, bool by_token,
                                                             int64_t limit) {
    std::vector<std::pair<std::string, int64_t>> found;
    shared.without_gil([&](const token_counts& counts) {
        std::vector<uint32_t> entries(counts.tokens().size());
        if (ranked) {
            entries = counts.ranked(0, by_token);
        } else {
            std::iota(entries.begin(), entries.end(), 0);
        }
        if (limit >= 0 && static_cast<size_t>(limit) < entries.size()) entries.resize(static_cast<size_t>(limit));
        for (const uint32_t entry : entries) found.emplace_back(counts.tokens().token(entry), counts.count(entry));
    });
    py::typing::List<py::typing::Tuple<py::str, py::int_>> made(found.size());
    for (size_t i = 0; i < found.size(); ++i) {
        made[i] = py::make_tuple(to_str(found[i].first), found[i].second);
    }
    return made;
}

void add(shared_counts& shared, const py::typing::List<py::str>& tokens, const std::vector<int64_t>& times) {
    const token_texts texts(tokens, "TokenCounter");
    if (texts.get().size() != times.size()) {
        throw py::value_error("TokenCounter: " + std::to_string(texts.get().size()) + " tokens have " +
                              std::to_string(times.size()) + " counts");
    }
    const auto below = std::find_if(times.begin(), times.end(), [](int64_t count) { return count < 1; });
    if (below != times.end()) {
        throw py::value_error("TokenCounter: the count at position " + std::to_string(below - times.begin()) + " is " +
                              std::to_string(*below));
    }
    shared.without_gil([&](token_counts& counts) {
        for (size_t i = 0; i < times.size(); ++i) counts.add(texts.get()[i], times[i]);
    });
}

// The ranked tokens with `specials` before or after them, `max_size` in all unless it is negative, and their counts.
py::typing::Tuple<vocab_table, py::array_t<int64_t>> make_table(shared_counts& shared,
                                                                const py::typing::List<py::str>& specials,
                                                                bool specials_first, int64_t min_freq, int64_t max_size,
                                                                bool by_token) {
    const token_texts texts(specials, "Vocab.build: specials");
    const auto wanted = texts.get();
    std::vector<int64_t> counted;
    const auto table = shared.without_gil([&](const token_counts& counts) {
        std::vector<uint32_t> entries = counts.ranked(min_freq, by_token);
        std::vector<int64_t> special_counts;
        std::unordered_set<int64_t> special_entries;
        for (const std::string_view text : wanted) {
            const int64_t entry = counts.tokens().find(text);
            special_counts.push_back(entry == no_entry ? 0 : counts.count(static_cast<size_t>(entry)));
            special_entries.insert(entry);
        }
        std::erase_if(entries, [&](uint32_t entry) { return special_entries.contains(entry); });
        if (max_size >= 0) {
            entries.resize(std::min(entries.size(), static_cast<size_t>(max_size) - wanted.size()));
        }
        for (const uint32_t entry : entries) counted.push_back(counts.count(entry));
        counted.insert(specials_first ? counted.begin() : counted.end(), special_counts.begin(), special_counts.end());
        return counts.table(wanted, entries, specials_first);
    });
    return py::make_tuple(table, array_of(std::move(counted)));
}

}  // namespace

void bind_vocab(py::module_& m) {
    py::class_<vocab_table>(m, "VocabTable", "An immutable table of tokens: vocab/table.h.")
        .def(py::init(&build_table), py::arg("tokens"))
        .def_static("from_parts", &table_from_parts, py::arg("seed"), py::arg("index"), py::arg("keys"),
                    py::arg("arena"))
        .def("parts", [](const py::object& self) { return parts_of(self); })
        .def("__len__", &vocab_table::size)
        .def_property_readonly("longest", &vocab_table::longest, "Bytes of the longest token.")
        .def("find", &find, py::arg("token"), "The id, or -1.")
        .def("tokens", &tokens_of)
        .def("decode", &decode, py::arg("ids"), py::arg("skipped"));

    py::class_<shared_counts>(m, "TokenCounts", "Counts of tokens, first seen first: vocab/counter.h.")
        .def(py::init<>())
        .def("__len__",
             [](shared_counts& shared) {
                 return shared.without_gil([](const token_counts& counts) { return counts.tokens().size(); });
             })
        .def("update", &update, py::arg("texts"), py::arg("tokenizer"), py::arg("lowercase"), py::arg("nulls_empty"),
             py::arg("threads"), py::arg("doing"), py::arg("first_row"),
             "Errors begin with `doing` and count rows from first_row.")
        .def("add", &add, py::arg("tokens"), py::arg("times"))
        .def("merge", &merge, py::arg("other"))
        .def("items", &items, py::arg("ranked"), py::arg("by_token"), py::arg("limit"))
        .def("table", &make_table, py::arg("specials"), py::arg("specials_first"), py::arg("min_freq"),
             py::arg("max_size"), py::arg("by_token"), "A VocabTable and the counts of its tokens.");
}

}  // namespace embrow
