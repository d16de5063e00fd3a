// tests/fuzz/form.cpp - a form is read as a second, plain WHATWG decoder reads it, and nothing past a limit is parsed.
// SPDX-License-Identifier: MIT
#include "plain.hpp"
#include "target.hpp"

#include <regrant/form.hpp>

namespace {

/// The limits come first; which of the text's faults is told is left to the library.
bool is_at_fault(regrant::form_error told, const std::string& body, const regrant::form_limits& limits) {
    using regrant::form_error;
    if (body.size() > limits.body_bytes) return told == form_error::too_large;
    if (plain::form_pieces(body).size() > limits.fields) return told == form_error::too_many_fields;
    const plain::form_faults there = plain::form_parse(body).faults;
    switch (told) {
    case form_error::malformed_escape: return there.escape;
    case form_error::nul_byte: return there.nul;
    case form_error::invalid_utf8: return there.utf8;
    case form_error::too_large:
    case form_error::too_many_fields: break;
    }
    return false;
}

bool is_acceptable(const std::string& body, const regrant::form_limits& limits) {
    return body.size() <= limits.body_bytes && plain::form_pieces(body).size() <= limits.fields &&
           !plain::form_parse(body).faults.any();
}

bool repeats(const std::vector<plain::field>& fields, const std::string& but) {
    for (std::size_t i = 0; i < fields.size(); ++i)
        for (std::size_t k = 0; k < i; ++k)
            if (fields[i].name == fields[k].name && (but.empty() || fields[i].name != but)) return true;
    return false;
}

void compare(const std::string& body, regrant::form_limits limits) {
    const auto parsed = regrant::form::parse(body, limits);
    fuzz::require(parsed.has_value() == is_acceptable(body, limits), "accepted or refused alike");
    if (!parsed) return fuzz::require(is_at_fault(parsed.error(), body, limits), "refused for what is wrong with it");

    const std::vector<plain::field> fields = plain::form_parse(body).fields;
    const std::vector<regrant::form::field> got(parsed->fields().begin(), parsed->fields().end());
    fuzz::require(got.size() == fields.size(), "as many fields");
    for (std::size_t i = 0; i < fields.size(); ++i) {
        fuzz::require(got[i].name == fields[i].name, "the same name");
        fuzz::require(got[i].value == fields[i].value, "the same value");
    }
    for (const plain::field& each : fields) {
        const auto first = std::find_if(fields.begin(), fields.end(), [&](auto& f) { return f.name == each.name; });
        const auto found = parsed->find(each.name);
        fuzz::require(first->value.empty() ? !found : found == first->value, "find gives the first value (R5)");
    }
    fuzz::require(parsed->repeats_a_name() == repeats(fields, ""), "the same repetitions (R7)");
    fuzz::require(parsed->repeats_a_name("resource") == repeats(fields, "resource"), "but of resource (8707)");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string body = fuzz::text(bytes, size);
    compare(body, {});
    compare(body, {body.size(), plain::form_pieces(body).size()});
    if (!body.empty()) compare(body, {body.size() - 1, 100});
    if (!plain::form_pieces(body).empty()) compare(body, {16384, plain::form_pieces(body).size() - 1});

    const auto again = regrant::form::parse(plain::form_encode(body) + '=' + plain::form_encode(body), {1U << 20, 1});
    const bool is_text = plain::is_utf8(body) && body.find('\0') == std::string::npos;
    fuzz::require(again.has_value() == is_text, "what is encoded can be decoded where it is text (R4)");
    if (is_text) {
        const regrant::form::field first = *again->fields().begin();
        fuzz::require(first.name == body && first.value == body, "to what it was");
    }
    return 0;
}
