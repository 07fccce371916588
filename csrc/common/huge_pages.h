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
#if !defined(__SANITIZE_ADDRESS__)  // which watches what malloc gives
#define EMBROW_MAPS_HUGE_PAGES
#endif
#endif

namespace embrow {

inline constexpr size_t huge_page = size_t{1} << 21;

// Asks for pages of 2 MB for what is about to be written, as far as it has whole ones. Pages there already stay as they
// are, and a system without large ones does nothing.
inline void prefer_huge_pages([[maybe_unused]] void* begin, [[maybe_unused]] size_t bytes) noexcept {
#if defined(__linux__)
    const uintptr_t from = (reinterpret_cast<uintptr_t>(begin) + huge_page - 1) & ~(huge_page - 1);
    const uintptr_t to = (reinterpret_cast<uintptr_t>(begin) + bytes) & ~(huge_page - 1);
    if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#endif
}

constexpr size_t whole_huge_pages(size_t bytes) noexcept {
    return (bytes + huge_page - 1) & ~(huge_page - 1);
}

// Whole pages of 2 MB from the system, null if it has no more, and back to it. malloc would look for places among what
// threads have freed, where so much at such addresses seldom fits, and take ever more.
inline void* map_huge_pages(size_t bytes) noexcept {
    bytes = whole_huge_pages(bytes);
#if defined(EMBROW_MAPS_HUGE_PAGES)
    void* const found = mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) return nullptr;
    const size_t before = -reinterpret_cast<uintptr_t>(found) & (huge_page - 1);
    char* const begin = static_cast<char*>(found) + before;
    if (before > 0) munmap(found, before);
    munmap(begin + bytes, huge_page - before);
    prefer_huge_pages(begin, bytes);
    return begin;
#else
    return std::aligned_alloc(huge_page, bytes);
#endif
}
inline void unmap_huge_pages(void* memory, [[maybe_unused]] size_t bytes) noexcept {
#if defined(EMBROW_MAPS_HUGE_PAGES)
    munmap(memory, whole_huge_pages(bytes));
#else
    std::free(memory);
#endif
}

template <class T>
struct huge_page_allocator {
    using value_type = T;
    static constexpr size_t large = huge_page / 2;  // half of a page is worth a whole one

    huge_page_allocator() = default;
    template <class U>
    huge_page_allocator(const huge_page_allocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

    T* allocate(size_t count) {
        if (count > PTRDIFF_MAX / sizeof(T)) throw std::bad_alloc();
        const size_t bytes = count * sizeof(T);
        void* const found = bytes < large ? std::malloc(bytes) : map_huge_pages(bytes);
        if (!found) throw std::bad_alloc();
        return static_cast<T*>(found);
    }
    void deallocate(T* memory, size_t count) noexcept {
        const size_t bytes = count * sizeof(T);
        if (bytes < large) {
            std::free(memory);
        } else {
            unmap_huge_pages(memory, bytes);
        }
    }

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
