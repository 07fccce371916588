// The module embrow._core: one bind_<step> per step, in pipeline order.
#include "bind.h"

#include <cstdlib>

#include "common/checksum.h"
#include "common/huge_pages.h"
#include "common/threads.h"
#include "common/variant.h"
#include "unicode_tables.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
    m.doc() = "embrow's compiled kernels; private, use the package's Python names";
    m.attr("__version__") = EMBROW_VERSION;

    if (const char* forced = std::getenv("EMBROW_VARIANT")) embrow::use_variant(forced);
    m.def("available_variants", [] {
        py::typing::List<py::str> names;
        for (embrow::variant v : embrow::available_variants()) names.append(embrow::variant_name(v));
        return names;
    });
    m.def("active_variant", [] { return embrow::variant_name(embrow::active_variant()); });
    m.def("use_variant", &embrow::use_variant, py::arg("name"));

    m.attr("unicode_version") = embrow::unicode_tables::version;
    m.def(
        "checksum",
        [](const py::array_t<uint8_t, py::array::c_style>& bytes, int threads) {
            const auto* data = reinterpret_cast<const char*>(bytes.data());
            const auto size = static_cast<size_t>(bytes.nbytes());
            const embrow::released_gil released;
            return embrow::checksum(data, size, threads);
        },
        py::arg("bytes"), py::arg("threads"));

    m.def(
        "prefer_huge_pages",
        [](uintptr_t begin, size_t bytes) { embrow::prefer_huge_pages(reinterpret_cast<void*>(begin), bytes); },
        py::arg("begin"), py::arg("bytes"), "Advice for memory that is about to be written.");

    m.attr("alone_bytes") = embrow::alone_bytes;
    m.attr("brief_bytes") = embrow::brief_bytes;
    m.def("most_threads", &embrow::most_threads, "What any number of threads asked for is bounded by.");
    m.def("has_helper_awake", &embrow::has_helper_awake,
          "Whether a thread of embrow's other than the callers' works or spins, and so is soon at hand.");

    embrow::bind_vocab(m);
    embrow::bind_encode(m);
    embrow::bind_pack(m);
    embrow::bind_pad(m);
    embrow::bind_gather(m);
    embrow::bind_scatter(m);
    embrow::bind_update(m);
    embrow::bind_vectors(m);
    embrow::bind_subwords(m);
}
