// SPDX-License-Identifier: Apache-2.0
#include "bundle/field_rules.h"

#include "core/timestamp.h"

#include <algorithm>
#include <string>

namespace kiln::bundle
{
namespace
{

bool is_lower_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

} // namespace

bool is_device(std::string_view text)
{
    return text.size() == 8 && text.starts_with("/dev/vd") && text.back() >= 'a' && text.back() <= 'z';
}

bool is_time(std::string_view text)
{
    return is_iso_time(text);
}

bool is_date(std::string_view text)
{
    return text.size() == 10 && is_time(std::string(text) + "T00:00:00Z");
}

bool is_account(std::string_view text)
{
    return text.size() == 12 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_file_system(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

bool is_mount_point(std::string_view text)
{
    const std::string inner = std::string(text) + "/";
    return text.starts_with('/') && inner.find("/../") == std::string::npos && inner.find("/./") == std::string::npos;
}

bool is_part_name(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
    });
}

bool is_type_name(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return is_lower_alphanumeric(c) || c == '-' || c == '.'; });
}

bool is_url_path(std::string_view text)
{
    return text.starts_with('/') &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
}

} // namespace kiln::bundle
