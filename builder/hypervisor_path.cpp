// SPDX-License-Identifier: Apache-2.0
#include "builder/hypervisor_path.h"

#include <algorithm>
#include <climits>
#include <cstddef>
#include <string_view>

namespace kiln::builder
{
namespace
{

constexpr std::size_t first_buffer = 256;
constexpr std::size_t last_buffer = std::size_t{2} * PATH_MAX;
// What libguestfs writes around the path, with room for other versions.
constexpr std::size_t least_before = 100;
constexpr std::size_t most_around = 200;

bool is_escaped(char c)
{
    return std::string_view("$`\\\"").find(c) != std::string_view::npos;
}

} // namespace

std::string hypervisor_path(const std::filesystem::path& file)
{
    std::string path = file.native();
    std::size_t length = path.size() + static_cast<std::size_t>(std::ranges::count_if(path, is_escaped));
    std::size_t slashes = 0;
    for (std::size_t buffer = first_buffer; buffer <= last_buffer; buffer *= 2) {
        if (length + least_before <= buffer && length + most_around > buffer) {
            slashes = buffer - least_before - length + 1;
        }
    }
    path.insert(path.rfind('/'), slashes, '/');
    return path;
}

} // namespace kiln::builder
