// A native test's cases: named, counted, and ended by the first that fails.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace embrow::testing {

class cases {
  public:
    // Names what is checked from here on, as one case.
    void begin(std::string name) {
        name_ = std::move(name);
        ++begun_;
    }

    void check(bool holds, const std::string& what) const {
        if (!holds) fail(what);
    }

    [[noreturn]] void fail(const std::string& what) const {
        std::fprintf(stderr, "FAILED %s: %s\n", name_.c_str(), what.c_str());
        std::_Exit(1);
    }

    // For the end of main: what scripts read, and the exit status.
    int finish() const {
        std::printf("%d passed\n", begun_);
        return begun_ == 0;
    }

  private:
    std::string name_;
    int begun_ = 0;
};

}  // namespace embrow::testing
