// Memory on pages of 2 MB where it is large and the system has them: small pages are made one by one, each at its first
// write, and of the rows of a large table nearly every one that is read needs the address of another small page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace embrow {

// Asks for pages of 2 MB for what is about to be written, as far as it has whole ones. Pages there already stay as they
// are, and a system without large ones does nothing.
inline void prefer_huge_pages([[maybe_unused]] void* begin, [[maybe_unused]] size_t bytes) noexcept {
#if defined(__linux__)
    constexpr uintptr_t page = uintptr_t{1} << 21;
    const uintptr_t from = (reinterpret_cast<uintptr_t>(begin) + page - 1) & ~(page - 1);
    const uintptr_t to = (reinterpret_cast<uintptr_t>(begin) + bytes) & ~(page - 1);
    if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#endif
}

template <class T>
struct huge_page_allocator {
    using value_type = T;

    huge_page_allocator() = default;
    template <class U>
    huge_page_allocator(const huge_page_allocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

    T* allocate(size_t count) {
        constexpr size_t page = size_t{1} << 21;
        if (count > PTRDIFF_MAX / sizeof(T)) throw std::bad_alloc();
        size_t bytes = count * sizeof(T);
        const bool large = bytes >= page / 2;  // half of a page is worth a whole one
        if (large) bytes = (bytes + page - 1) / page * page;
        void* const found = large ? std::aligned_alloc(page, bytes) : std::malloc(bytes);
        if (!found) throw std::bad_alloc();
        if (large) prefer_huge_pages(found, bytes);
        return static_cast<T*>(found);
    }
    void deallocate(T* memory, size_t) noexcept { std::free(memory); }

    // resize(n) leaves numbers unset, since what is cleared here is mostly written at once; resize(n, 0) sets them.
    template <class U>
    void construct(U* at) noexcept {
        ::new (static_cast<void*>(at)) U;
    }
    template <class U, class... Arguments>
    void construct(U* at, Arguments&&... arguments) {
        ::new (static_cast<void*>(at)) U(std::forward<Arguments>(arguments)...);
    }

    bool operator==(const huge_page_allocator&) const = default;
};

template <class T>
using huge_page_vector = std::vector<T, huge_page_allocator<T>>;

}  // namespace embrow
