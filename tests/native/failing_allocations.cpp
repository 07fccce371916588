// Loaded before the C library, lets one allocation fail that a module makes: the operators new, malloc, calloc, realloc
// and mmap when called from its code. Others are served as ever. Tells how many bytes are in use.
#include <malloc.h>
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
std::atomic<bool> is_failing{false};
std::atomic<int64_t> allocations_left{0};
std::atomic<size_t> mapped_bytes{0};  // by the module

// pybind11's records of instances, which it makes where nothing can be thrown.
constexpr size_t record_bytes = 24;

bool is_module(const void* caller) noexcept {
    const auto from = reinterpret_cast<uintptr_t>(caller);
    return from >= code_begin && from < code_end;
}

// Whether this allocation is the one that is to fail.
bool fails(size_t bytes, const void* caller) noexcept {
    return is_failing && bytes != record_bytes && is_module(caller) && --allocations_left == 0;
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

// Where the module's code lies; before any of it has run.
__attribute__((visibility("default"))) void watch(uintptr_t begin, uintptr_t end) {
    code_begin = begin;
    code_end = end;
}

// The nth allocation of the module's from now on fails; n is 1 or more.
__attribute__((visibility("default"))) void fail_allocation(int64_t n) {
    allocations_left = n;
    is_failing = true;
}

// No allocation fails any more. Returns whether one did.
__attribute__((visibility("default"))) int stop_failing() {
    is_failing = false;
    return allocations_left <= 0 ? 1 : 0;
}

// What malloc has given to anybody, and mmap to the module: not what Python's own heap holds, which comes and goes by
// the MB.
__attribute__((visibility("default"))) size_t bytes_in_use() {
    const struct mallinfo2 given = mallinfo2();
    return given.uordblks + given.hblkhd + mapped_bytes;
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
    const int64_t mapped = syscall(SYS_mmap, at, bytes, access, flags, file, offset);
    if (mapped != -1 && is_module(__builtin_return_address(0))) mapped_bytes += bytes;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the system's own interface
    return reinterpret_cast<void*>(mapped);
}

// What mmap is called in code that includes Python's headers.
__attribute__((visibility("default"))) void* mmap64(void* at, size_t bytes, int access, int flags, int file,
                                                    off64_t offset) noexcept __attribute__((alias("mmap")));

__attribute__((visibility("default"))) int munmap(void* at, size_t bytes) noexcept {
    const auto failed = static_cast<int>(syscall(SYS_munmap, at, bytes));
    if (failed == 0 && is_module(__builtin_return_address(0))) mapped_bytes -= bytes;
    return failed;
}

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
