// Work without the GIL, in threads that may outlive the interpreter.
#pragma once

#include <Python.h>

#if defined(__GLIBCXX__) && defined(__unix__)
#include <cxxabi.h>
#include <unistd.h>
#endif

namespace embrow {

// Lets go of the GIL for as long as this lives. Made and destroyed by one thread.
class released_gil {
  public:
    released_gil() noexcept : state_(PyEval_SaveThread()) {}
    released_gil(const released_gil&) = delete;
    released_gil& operator=(const released_gil&) = delete;

    // Where the interpreter has ended meanwhile, as it does without asking daemon threads, Python up to 3.13 ends the
    // thread here, by unwinding its stack: destructors would run that need the GIL. As later versions do, the thread
    // waits instead until the process is gone.
    ~released_gil() {
#if defined(__GLIBCXX__) && defined(__unix__)
        try {
            PyEval_RestoreThread(state_);
        } catch (abi::__forced_unwind&) {
            for (;;) ::pause();  // the system's, not that of common/spin.h
        }
#else
        PyEval_RestoreThread(state_);
#endif
    }

  private:
    PyThreadState* state_;
};

}  // namespace embrow
