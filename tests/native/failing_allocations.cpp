// Loaded before the C library, lets one allocation fail that a module makes: the operators new, malloc, calloc, realloc
// and mmap when called from its code. Others are served as ever.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
}

namespace {

std::atomic<uintptr_t> code_begin{0};
std::atomic<uintptr_t> code_end{0};
std::atomic<int64_t> allocations_left{0};

// pybind11's records of instances, which it makes where nothing can be thrown.
constexpr size_t record_bytes = 24;

// Whether this allocation is the one that is to fail.
bool fails(size_t bytes, const void* caller) noexcept {
    const auto from = reinterpret_cast<uintptr_t>(caller);
    return bytes != record_bytes && from >= code_begin && from < code_end && --allocations_left == 0;
}

void* allocated(size_t bytes, size_t alignment, const void* caller) noexcept {
    if (fails(bytes, caller)) return nullptr;
    bytes += bytes == 0;
    return alignment == 0 ? __libc_malloc(bytes) : __libc_memalign(alignment, bytes);
}

void* or_throw(void* memory) {
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

}  // namespace

extern "C" {

// The nth allocation from now on fails that code in [begin, end) makes; n is 1 or more.
__attribute__((visibility("default"))) void fail_allocation(int64_t n, uintptr_t begin, uintptr_t end) {
    allocations_left = n;
    code_begin = begin;
    code_end = end;
}

// No allocation fails any more. Returns whether one did.
__attribute__((visibility("default"))) int stop_failing() {
    code_end = 0;
    return allocations_left <= 0 ? 1 : 0;
}

__attribute__((visibility("default"))) void* malloc(size_t bytes) {
    if (fails(bytes, __builtin_return_address(0))) {
        errno = ENOMEM;
        return nullptr;
    }
    return __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void* calloc(size_t count, size_t bytes) {
    if (fails(count * bytes, __builtin_return_address(0))) {
        errno = ENOMEM;
        return nullptr;
    }
    return __libc_calloc(count, bytes);
}

__attribute__((visibility("default"))) void* realloc(void* memory, size_t bytes) {
    if (fails(bytes, __builtin_return_address(0))) {
        errno = ENOMEM;
        return nullptr;
    }
    return __libc_realloc(memory, bytes);
}

__attribute__((visibility("default"))) void* mmap(void* at, size_t bytes, int access, int flags, int file,
                                                  off_t offset) noexcept {
    if (fails(bytes, __builtin_return_address(0))) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the system's own interface
    return reinterpret_cast<void*>(syscall(SYS_mmap, at, bytes, access, flags, file, offset));
}

// What mmap is called in code that includes Python's headers.
__attribute__((visibility("default"))) void* mmap64(void* at, size_t bytes, int access, int flags, int file,
                                                    off64_t offset) noexcept __attribute__((alias("mmap")));

}  // extern "C"

__attribute__((visibility("default"))) void* operator new(size_t bytes) {
    return or_throw(allocated(bytes, 0, __builtin_return_address(0)));
}
__attribute__((visibility("default"))) void* operator new[](size_t bytes) {
    return or_throw(allocated(bytes, 0, __builtin_return_address(0)));
}
__attribute__((visibility("default"))) void* operator new(size_t bytes, std::align_val_t alignment) {
    return or_throw(allocated(bytes, static_cast<size_t>(alignment), __builtin_return_address(0)));
}
__attribute__((visibility("default"))) void* operator new[](size_t bytes, std::align_val_t alignment) {
    return or_throw(allocated(bytes, static_cast<size_t>(alignment), __builtin_return_address(0)));
}
__attribute__((visibility("default"))) void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
    return allocated(bytes, 0, __builtin_return_address(0));
}
__attribute__((visibility("default"))) void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
    return allocated(bytes, 0, __builtin_return_address(0));
}
