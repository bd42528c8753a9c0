// SPDX-License-Identifier: Apache-2.0
#include "builder/found_system.h"

#include <algorithm>
#include <regex>

namespace kiln::builder
{
namespace
{

constexpr const char* crypttab_file = "/etc/crypttab";

std::vector<KeptKey> keys_of(Appliance& appliance, const Mountpoint& root)
{
    std::vector<KeptKey> keys;
    appliance.mount(root.device, root.mount);
    // Not a symbolic link, nor a FIFO as a key, which would never end.
    if (appliance.is_file(crypttab_file)) {
        for (KeptKey& key : kept_keys(appliance.read_file(crypttab_file))) {
            if (appliance.is_file(key.key_file)) {
                keys.push_back(std::move(key));
            }
        }
    }
    return keys;
}

} // namespace

std::vector<KeptKey> kept_keys(std::string_view crypttab)
{
    static const std::regex ours("([a-z]+_crypt) UUID=([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}) "
                                 R"((/etc/cryptsetup-keys\.d/\1\.key) luks(,\S*)?)");
    constexpr std::size_t longest_line = 256; // std::regex recurses for each character
    std::vector<KeptKey> keys;
    while (!crypttab.empty()) {
        const std::size_t end = std::min(crypttab.find('\n'), crypttab.size());
        const std::string line(crypttab.substr(0, end <= longest_line ? end : 0));
        crypttab.remove_prefix(std::min(end + 1, crypttab.size()));
        std::smatch found;
        if (std::regex_match(line, found, ours)) {
            keys.push_back({found[1], found[2], found[4]});
        }
    }
    return keys;
}

std::vector<Mountpoint> find_whole_system(Appliance& appliance)
{
    appliance.activate_volume_groups(); // the saved appliance gets its disks when its own start is over
    std::vector<Mountpoint> found = appliance.find_system();
    const std::vector<KeptKey> keys = keys_of(appliance, found.front());
    for (const KeptKey& key : keys) {
        appliance.open_luks("UUID=" + key.uuid, key.key_file, key.name);
    }
    appliance.unmount_all();
    if (!keys.empty()) {
        appliance.activate_volume_groups();
        found = appliance.find_system();
    }
    return found;
}

} // namespace kiln::builder
