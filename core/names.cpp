// SPDX-License-Identifier: Apache-2.0
#include "core/names.h"

#include "core/random.h"

#include <algorithm>

namespace kiln
{
namespace
{

bool is_lower_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_label(std::string_view text, std::size_t longest)
{
    return !text.empty() && text.size() <= longest && is_lower_alphanumeric(text.front()) &&
           is_lower_alphanumeric(text.back()) &&
           std::all_of(text.begin(), text.end(), [](char c) { return is_lower_alphanumeric(c) || c == '-'; });
}

} // namespace

bool is_region_name(std::string_view text)
{
    return is_label(text, 63) && !is_resource_id("ami-", text);
}

bool is_channel_name(std::string_view text)
{
    return is_label(text, 32) && text.front() >= 'a' && text.front() <= 'z';
}

} // namespace kiln
