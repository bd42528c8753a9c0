// SPDX-License-Identifier: Apache-2.0
#include "cli/instances_in_use.h"

#include "core/error.h"
#include "launcher/instance.h"

#include <fmt/format.h>

#include <unistd.h>

namespace kiln::cli
{
namespace
{

// list_instances takes a folder that it can't read for an empty one.
std::vector<launcher::Instance> all_instances(const Paths& paths)
{
    if (::access(paths.instances.c_str(), R_OK | X_OK) != 0 && errno != ENOENT) {
        throw system_error(errno, fmt::format("looking for instances in {}", paths.instances.native()));
    }
    return launcher::list_instances(paths);
}

} // namespace

std::vector<Digest> layers_in_use(const Paths& paths)
{
    std::vector<Digest> digests;
    for (const launcher::Instance& instance : all_instances(paths)) {
        for (const launcher::InstanceDisk& disk : instance.disks) {
            for (const std::filesystem::path& layer : disk.layers) {
                if (const auto digest = Digest::parse("sha256:" + layer.filename().native())) {
                    digests.push_back(*digest);
                }
            }
        }
    }
    return digests;
}

std::map<std::string, std::vector<std::string>> instances_of_images(const Paths& paths, const std::string& region)
{
    std::map<std::string, std::vector<std::string>> found;
    for (const launcher::Instance& instance : all_instances(paths)) {
        if (instance.region == region) {
            found[instance.image_id].push_back(instance.id);
        }
    }
    return found;
}

} // namespace kiln::cli
