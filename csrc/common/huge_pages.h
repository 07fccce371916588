// Vectors whose memory is on pages of 2 MB where it is large and the system has them: small pages are made one by one,
// each at its first write.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace embrow {

template <class T>
struct huge_page_allocator {
    using value_type = T;

    huge_page_allocator() = default;
    template <class U>
    huge_page_allocator(const huge_page_allocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

    T* allocate(size_t count) {
        constexpr size_t page = size_t{1} << 21;
        if (count > PTRDIFF_MAX / sizeof(T)) throw std::bad_alloc();
        const size_t bytes = count * sizeof(T);
        const bool large = bytes >= page / 2;  // half of a page is worth a whole one
        void* const found = large ? std::aligned_alloc(page, (bytes + page - 1) / page * page) : std::malloc(bytes);
        if (!found) throw std::bad_alloc();
#if defined(__linux__)
        if (large) madvise(found, bytes, MADV_HUGEPAGE);  // advice: a system without them does nothing
#endif
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
