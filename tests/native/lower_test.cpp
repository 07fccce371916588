// lower_row against the tables, one code point at a time; it must hold whether plain char is signed or not.
#include "text/lower.h"
#include "check.h"
#include "tokens_of.h"

namespace embrow::testing {
namespace {

std::string lowered(const std::string& text) {
    std::string out(lower_bound(text.size()), '?');
    out.resize(lower_row(text.data(), text.size(), out.data()));
    return out;
}

int run() {
    cases all;
    all.begin("every code point but those whose lower case is not one of its own");
    for (uint32_t i = 0; i < code_points; ++i) {
        if (is_surrogate(i) || i == 0x130 || i == 0x3A3) continue;
        const std::string expected = utf8_of(code_point_lower(i));
        for (const size_t before : {0, 1, 15, 16}) {
            const std::string text = std::string(before, 'A') + utf8_of(i) + "Z";
            all.check(lowered(text) == std::string(before, 'a') + expected + "z", "U+" + std::to_string(i));
        }
    }
    all.begin("sigma, which depends on what stands around it");
    all.check(lowered("ΑΣ Σ ΑΣΑ Σ' AΣ") == "ας σ ασα σ' aς", "final sigma");
    all.begin("a code point that grows");
    all.check(lowered("İİ") == "i̇i̇", "U+0130");
    all.check(lowered("Ⱥ") == "ⱥ", "U+023A");
    return all.finish();
}

}  // namespace
}  // namespace embrow::testing

int main() {
    return embrow::testing::run();
}
