// SPDX-License-Identifier: Apache-2.0
#include "launcher/user_data.h"

#include "core/error.h"
#include "core/files.h"
#include "core/process.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace kiln::launcher
{
namespace fs = std::filesystem;

void require_user_data(std::string_view user_data)
{
    if (user_data.size() > longest_user_data.bytes()) {
        throw Error(ErrorKind::usage,
                    fmt::format("the user data has {} bytes; an instance takes up to {}", user_data.size(),
                                to_string(longest_user_data)),
                    "let a short script fetch the rest, or compress it with gzip, which cloud-init reads");
    }
    require_program("mkfs.vfat", "dosfstools");
    require_program("mcopy", "mtools");
}

std::string seed_metadata(const Instance& instance, std::string_view public_key)
{
    return Json{{"instance-id", instance.id},
                {"local-hostname", instance.name.value_or(instance.id)},
                {"public-keys", {public_key.substr(0, public_key.find('\n'))}}}
               .dump() +
           "\n";
}

void make_seed(const fs::path& seed, const std::string& user_data, const std::string& metadata,
               const std::stop_token& stop)
{
    constexpr std::size_t seed_bytes = std::size_t{512} << 10U;
    write_file_durably(seed, std::string(seed_bytes, '\0'), 0600);
    run_or_throw({.argv = {"mkfs.vfat", "-n", "CIDATA", seed.native()}}, "making the disk for the user data", stop);
    const std::array<std::pair<const char*, const std::string*>, 2> files{
        {{"user-data", &user_data}, {"meta-data", &metadata}}};
    for (const auto& [name, content] : files) {
        run_or_throw({.argv = {"mcopy", "-i", seed.native(), "-", fmt::format("::{}", name)}, .input = *content},
                     "writing the user data", stop);
    }
    sync_file(seed);
}

} // namespace kiln::launcher
