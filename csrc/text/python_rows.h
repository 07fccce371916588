// A Python object -> rows of text, read where they lie.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "released_gil.h"
#include "text/rows.h"
#include "text/tokens.h"

namespace embrow {

// How text is split, by the tokenizer's public name. Raises ValueError for another name.
text_options text_options_of(const std::string& tokenizer_name, bool lowercase);

// Text that may be read under a lock alone, as NumPy's StringDType; both calls are made without the GIL.
class locked_text {
  public:
    virtual ~locked_text() = default;
    virtual size_t size() const noexcept = 0;
    // Takes the lock and sets the rows, nulls as empty ones; returns the first null, if any.
    virtual std::optional<size_t> acquire(text_rows& rows) = 0;
    virtual void release() noexcept = 0;
};

// What rows point into, and what must live as long.
struct borrowed_text {
    text_rows rows;
    std::vector<pybind11::object> owners;
    huge_page_vector<PyObject*> references;  // one each to the items of a list, which may change meanwhile
    pybind11::object unread;                 // a list or tuple whose items are still to be read
    rows_progress progress;                  // of that
    std::shared_ptr<void> memory;            // of foreign code
    std::unique_ptr<locked_text> locked;

    borrowed_text() = default;
    borrowed_text(const borrowed_text&) = delete;
    borrowed_text& operator=(const borrowed_text&) = delete;
    ~borrowed_text() { drop_references(); }

    void drop_references() noexcept;
};

// What errors show of a token: its beginning, as Python writes it.
std::string shown_token(std::string_view token);

// What a row is that is null: refused, and by an error that names the argument which would take it if the caller has
// one, or empty.
enum class null_rows : uint8_t { refused, error, empty };

// By what Python passes: whether nulls are empty, or None where the caller's caller has no say in it.
constexpr null_rows null_rows_of(std::optional<bool> are_empty) noexcept {
    if (!are_empty) return null_rows::refused;
    return *are_empty ? null_rows::empty : null_rows::error;
}

// How rows are taken, what errors about them begin with, and the number that errors give the first of them.
struct text_rules {
    std::string doing;
    null_rows nulls = null_rows::error;
    size_t first_row = 0;
    bool are_tokens = false;  // not rows of them, but each one

    bool take_nulls() const noexcept { return nulls == null_rows::empty; }
    std::string where(size_t row) const;  // "encode: row 17"
    [[noreturn]] void refuse_null(size_t row) const;
    [[noreturn]] void refuse_type(size_t row, pybind11::handle found) const;
};

// An item of a list that is no row; null where the list has changed since it was first seen.
struct refused_item {
    size_t row;
    pybind11::object item;
};

// Rows of a Python object, which stays alive and unchanged with this. Made and destroyed with the GIL held.
class python_rows {
  public:
    // `texts` is any iterable of str, bytes or lists of them, a NumPy array of strings, or an Arrow array or stream.
    // This and reading raise TypeError or ValueError, naming the row, or RuntimeError for a list that changes before it
    // is read.
    python_rows(pybind11::handle texts, const text_rules& rules);
    python_rows(const python_rows&) = delete;
    python_rows& operator=(const python_rows&) = delete;

    size_t size() const noexcept { return text_.locked ? text_.locked->size() : text_.rows.size(); }

    bool picked() const noexcept { return text_.rows.picked; }

    // Calls use(const text_rows&) without the GIL, which is held on entry and on return. `use` must not wait for the
    // GIL.
    template <class Use>
    void read(Use&& use) {
        if (text_.unread) check(read_items());
        std::optional<size_t> null;
        {
            const released_gil released;
            const lock held(text_, null);
            if (!null || rules_.take_nulls()) use(static_cast<const text_rows&>(text_.rows));
        }
        if (null && !rules_.take_nulls()) rules_.refuse_null(*null);
    }

    // The same, but calls use(const text_rows&, task_ref reading) with rows that are there as text_rows::wait_for says.
    // `use` must call reading(0), once and on the calling thread, which has the GIL until then.
    template <class Use>
    void read_meanwhile(Use&& use) {
        if (!text_.unread) {
            read([&](const text_rows& rows) { use(rows, [](size_t) {}); });
            return;
        }
        std::optional<refused_item> refused;
        {
            std::optional<released_gil> released;
            use(static_cast<const text_rows&>(text_.rows), [&](size_t) {
                refused = read_items();
                released.emplace();
            });
        }
        check(refused);
    }

    // Lets go of the rows' objects, and so of their text, before this ends. With the GIL held.
    void drop() noexcept { text_.drop_references(); }

    // What errors call a row.
    std::string where(size_t row) const { return rules_.where(row); }

    // Raises the error that says what is wrong with a row.
    [[noreturn]] void raise(int64_t row, const text_fault& fault) const;

  private:
    class lock {
      public:
        lock(borrowed_text& text, std::optional<size_t>& null) : locked_(text.locked.get()) {
            if (locked_) null = locked_->acquire(text.rows);
        }
        ~lock() {
            if (locked_) locked_->release();
        }
        lock(const lock&) = delete;
        lock& operator=(const lock&) = delete;

      private:
        locked_text* locked_;
    };

    // Reads the few items of a short list, or else notes how long those of a long one may be.
    void expect_items();

    // Reads all of `unread`, or up to the first item that is no row.
    std::optional<refused_item> read_items() noexcept;
    void check(const std::optional<refused_item>& refused) const;

    text_rules rules_;
    borrowed_text text_;
};

// Readers of one kind of object each. Those that return bool return false for an object that is not of their kind. A
// list or tuple of text is left unread.
void read_objects(const pybind11::object& items, const text_rules& rules, borrowed_text& text);
void read_iterable(pybind11::handle texts, const text_rules& rules, borrowed_text& text);
bool read_numpy(pybind11::handle texts, const text_rules& rules, borrowed_text& text);
bool read_arrow(pybind11::handle texts, const text_rules& rules, borrowed_text& text);

}  // namespace embrow
