#include "vectors/row_store.h"

#include <algorithm>
#include <limits>
#include <new>

#include "common/huge_pages.h"

namespace embrow {
namespace {

// glibc moves a large block by remapping its pages, so growing copies nothing and pages not yet written cost nothing.
void resize(std::unique_ptr<std::byte, free_memory>& table, size_t bytes) {
    void* moved = std::realloc(table.get(), std::max<size_t>(bytes, 1));
    if (moved == nullptr) throw std::bad_alloc();
    static_cast<void>(table.release());
    table.reset(static_cast<std::byte*>(moved));
    prefer_huge_pages(table.get(), bytes);
}

}  // namespace

void row_store::reserve(size_t rows) {
    if (rows <= capacity_) return;
    if (row_bytes_ != 0 && rows > std::numeric_limits<size_t>::max() / 2 / row_bytes_) throw std::bad_alloc();
    resize(table_, rows * row_bytes_);
    capacity_ = rows;
}

std::unique_ptr<std::byte, free_memory> row_store::release() {
    resize(table_, static_cast<size_t>(kept_) * row_bytes_);
    return std::move(table_);
}

}  // namespace embrow
