// SPDX-License-Identifier: Apache-2.0
#include "launcher/github_annotations.h"

#include "core/text.h"

#include <fmt/format.h>

namespace kiln::launcher
{
namespace
{

// Percent signs stand for what can't be there otherwise; in a property that is also what ends it.
std::string escaped_for_github(std::string_view text, bool property)
{
    std::string out;
    for (const char c : printable(text)) {
        if (c == '%') {
            out += "%25";
        } else if (c == '\n') {
            out += "%0A";
        } else if (c == '\r') {
            out += "%0D";
        } else if (property && c == ':') {
            out += "%3A";
        } else if (property && c == ',') {
            out += "%2C";
        } else {
            out += c;
        }
    }
    return out;
}

} // namespace

std::string github_annotation(AnnotationLevel level, std::string_view title, std::string_view message)
{
    return fmt::format("::{} title={}::{}\n", level == AnnotationLevel::error ? "error" : "warning",
                       escaped_for_github(title, true), escaped_for_github(message, false));
}

std::string github_stop_commands(std::string_view token)
{
    return fmt::format("::stop-commands::{}\n", token);
}

std::string github_resume_commands(std::string_view token)
{
    return fmt::format("::{}::\n", token);
}

} // namespace kiln::launcher
