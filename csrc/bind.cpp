// The module embrow._core: one bind_<step> per step, in pipeline order.
#include "bind.h"

#include <cstdlib>

#include "common/variant.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
    m.doc() = "embrow's compiled kernels; private, use the package's Python names";
    m.attr("__version__") = EMBROW_VERSION;

    if (const char* forced = std::getenv("EMBROW_VARIANT")) embrow::use_variant(forced);
    m.def("available_variants", [] {
        py::list names;
        for (embrow::variant v : embrow::available_variants()) names.append(embrow::variant_name(v));
        return names;
    });
    m.def("active_variant", [] { return embrow::variant_name(embrow::active_variant()); });
    m.def("use_variant", &embrow::use_variant, py::arg("name"));

    embrow::bind_vectors(m);
}
