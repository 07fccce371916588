// The bindings of encode on a GPU: DeviceTable, count_tokens, encode_padded.
#include <stdexcept>
#include <string>

#include "bind_cuda.h"
#include "encode/check_frame.h"
#include "encode/encode_cuda.h"

namespace embrow {
namespace {

namespace py = pybind11;

device_table make_table(uintptr_t index, size_t slots, uintptr_t keys, uintptr_t arena, size_t longest, uint64_t seed_0,
                        uint64_t seed_1) {
    return {reinterpret_cast<const uint32_t*>(index), reinterpret_cast<const token_key*>(keys),
            reinterpret_cast<const char*>(arena),     {seed_0, seed_1},
            static_cast<uint32_t>(slots - 1),         static_cast<uint32_t>(longest)};
}

packed_text text_at(uintptr_t text, int64_t text_bytes, uintptr_t offsets, int64_t rows) {
    return {reinterpret_cast<const char*>(text), reinterpret_cast<const int64_t*>(offsets), text_bytes, rows};
}

void check_rows(int64_t rows) {
    constexpr int64_t most = INT32_MAX - 1;
    if (rows <= most) return;
    throw py::value_error("encode: " + std::to_string(rows) + " rows; a GPU takes at most " + std::to_string(most) +
                          " at once");
}

row_frame frame_of(int32_t bos_id, int32_t eos_id, int64_t max_length, bool truncate_left) {
    check_frame(bos_id, eos_id, max_length);
    return {bos_id, eos_id, max_length, truncate_left};
}

void count(uintptr_t text, int64_t text_bytes, uintptr_t offsets, int64_t rows, int32_t bos_id, int32_t eos_id,
           int64_t max_length, bool truncate_left, uintptr_t lengths, uintptr_t facts, uintptr_t workspace,
           uintptr_t stream) {
    check_rows(rows);
    const row_frame frame = frame_of(bos_id, eos_id, max_length, truncate_left);
    const released_gil released;
    count_tokens_cuda(text_at(text, text_bytes, offsets, rows), frame, reinterpret_cast<int64_t*>(lengths),
                      reinterpret_cast<encode_facts*>(facts), reinterpret_cast<std::byte*>(workspace),
                      stream_at(stream));
}

template <class Id>
void encode_as(const device_table& table, const packed_text& text, const row_frame& frame, int32_t unk_id, size_t width,
               int32_t pad_id, bool pad_left, uintptr_t lengths, uintptr_t facts, uintptr_t out, uintptr_t workspace,
               uintptr_t stream) {
    const pad_layout<Id> layout{width, static_cast<Id>(pad_id), pad_left};
    encode_padded_cuda(table, text, frame, unk_id, layout, reinterpret_cast<const int64_t*>(lengths),
                       reinterpret_cast<encode_facts*>(facts), reinterpret_cast<Id*>(out),
                       reinterpret_cast<std::byte*>(workspace), stream_at(stream));
}

void encode(const device_table& table, uintptr_t text, int64_t text_bytes, uintptr_t offsets, int64_t rows,
            int32_t bos_id, int32_t eos_id, int64_t max_length, bool truncate_left, int32_t unk_id, size_t width,
            int32_t pad_id, bool pad_left, bool wide, uintptr_t lengths, uintptr_t facts, uintptr_t out,
            uintptr_t workspace, uintptr_t stream) {
    const row_frame frame = frame_of(bos_id, eos_id, max_length, truncate_left);
    if (max_length >= 0 && width < static_cast<size_t>(max_length)) {
        throw std::invalid_argument("encode: rows of up to " + std::to_string(max_length) +
                                    " ids are wider than the rectangle's " + std::to_string(width));
    }
    const auto encode_rows = wide ? encode_as<int64_t> : encode_as<int32_t>;
    encode_rows(table, text_at(text, text_bytes, offsets, rows), frame, unk_id, width, pad_id, pad_left, lengths, facts,
                out, workspace, stream);
}

}  // namespace

void bind_encode_cuda(py::module_& m) {
    py::class_<device_table>(m, "DeviceTable", "A vocabulary's table on a device: vocab/vocab_cuda.h.")
        .def(py::init(&make_table), py::arg("index"), py::arg("slots"), py::arg("keys"), py::arg("arena"),
             py::arg("longest"), py::arg("seed_0"), py::arg("seed_1"));
    m.attr("encode_facts_bytes") = sizeof(encode_facts);
    m.def("encode_workspace_bytes", &encode_workspace_bytes, py::arg("text_bytes"), py::arg("rows"));
    m.def("count_tokens", &count, py::arg("text"), py::arg("text_bytes"), py::arg("offsets"), py::arg("rows"),
          py::arg("bos_id"), py::arg("eos_id"), py::arg("max_length"), py::arg("truncate_left"), py::arg("lengths"),
          py::arg("facts"), py::arg("workspace"), py::arg("stream"));
    m.def("encode_padded", &encode, py::arg("table"), py::arg("text"), py::arg("text_bytes"), py::arg("offsets"),
          py::arg("rows"), py::arg("bos_id"), py::arg("eos_id"), py::arg("max_length"), py::arg("truncate_left"),
          py::arg("unk_id"), py::arg("width"), py::arg("pad_id"), py::arg("pad_left"), py::arg("wide"),
          py::arg("lengths"), py::arg("facts"), py::arg("out"), py::arg("workspace"), py::arg("stream"),
          py::call_guard<released_gil>());
}

}  // namespace embrow
