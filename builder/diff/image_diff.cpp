// SPDX-License-Identifier: Apache-2.0
#include "builder/diff/image_diff.h"

#include "builder/appliance.h"
#include "builder/block_server.h"
#include "builder/diff/tree_listing.h"
#include "builder/diff/two_systems.h"
#include "builder/guest_accounts.h"
#include "builder/software.h"
#include "core/process.h"
#include "core/random.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

std::vector<DiskChain> throwaway_chains(const std::vector<ImageDisk>& disks, const fs::path& work, const char* name)
{
    std::vector<DiskChain> chains;
    for (std::size_t i = 0; i < disks.size(); ++i) {
        chains.push_back(
            {.size = disks[i].size, .layers = disks[i].layers, .top = work / fmt::format("{}{}.qcow2", name, i)});
    }
    return chains;
}

using PackageKey = std::pair<std::string, std::string>;

std::map<PackageKey, std::string> by_key(const std::vector<Package>& packages)
{
    std::map<PackageKey, std::string> found;
    for (const Package& package : packages) {
        found.insert_or_assign({package.name, package.architecture}, package.version);
    }
    return found;
}

std::set<std::string> users_of(Appliance& appliance, const std::string& root)
{
    std::set<std::string> names;
    const std::string file = root + "/etc/passwd";
    if (appliance.is_file(file)) {
        for (const GuestUser& user : parse_passwd(appliance.read_file(file))) {
            names.insert(user.name);
        }
    }
    return names;
}

std::vector<std::string> only_in(const std::set<std::string>& some, const std::set<std::string>& others)
{
    std::vector<std::string> found;
    std::ranges::set_difference(some, others, std::back_inserter(found));
    return found;
}

std::vector<Package> packages_of(Appliance& appliance, const std::string& root)
{
    const std::string file = root + "/var/lib/dpkg/status";
    return appliance.is_file(file) ? parse_dpkg_status(appliance.read_file(file)) : std::vector<Package>();
}

// Whose file each path is, of the packages that changed.
std::map<std::string, std::string> owners(Appliance& appliance, const std::string& root,
                                          const std::vector<PackageChange>& changes)
{
    std::vector<std::string> names;
    for (const PackageChange& change : changes) {
        const auto plain = [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '.' || c == '-';
        };
        if (std::ranges::all_of(change.name, plain) && std::ranges::all_of(change.architecture, plain)) {
            names.push_back(change.name);
            names.push_back(fmt::format("{}:{}", change.name, change.architecture));
        }
    }
    return names.empty() ? std::map<std::string, std::string>() : parse_owned(appliance.package_lists(root, names));
}

void compare_contents(Appliance& appliance, const std::string& other, TreeDiff& trees)
{
    if (trees.same_metadata.empty()) {
        return;
    }
    const auto before = parse_digests(appliance.content_digests("", trees.same_metadata));
    const auto after = parse_digests(appliance.content_digests(other, trees.same_metadata));
    for (const std::string& path : trees.same_metadata) {
        const auto one = before.find(path);
        const auto two = after.find(path);
        if (one == before.end() || two == after.end() || one->second != two->second) {
            trees.files.push_back({.kind = FileChange::Kind::changed, .path = "/" + path, .package = {}});
        }
    }
    std::ranges::sort(trees.files, {}, &FileChange::path);
}

void add_services(ImageDiff& diff)
{
    for (const FileChange& file : diff.files) {
        const std::string unit = enabled_unit(file.path);
        if (!unit.empty() && file.kind != FileChange::Kind::changed) {
            (file.kind == FileChange::Kind::added ? diff.services_enabled : diff.services_disabled).push_back(unit);
        }
    }
    for (auto* units : {&diff.services_enabled, &diff.services_disabled}) {
        std::ranges::sort(*units);
        units->erase(std::unique(units->begin(), units->end()), units->end());
    }
}

ImageDiff compare(Appliance& appliance, const std::string& other, Progress& progress)
{
    ImageDiff diff;
    progress.stage("compare packages and files");
    diff.packages = diff_packages(packages_of(appliance, ""), packages_of(appliance, other));
    const std::set<std::string> users_before = users_of(appliance, "");
    const std::set<std::string> users_after = users_of(appliance, other);
    diff.users_added = only_in(users_after, users_before);
    diff.users_removed = only_in(users_before, users_after);

    const auto [only_before, only_after] = appliance.listing_differences(other, listing_format);
    TreeDiff trees = diff_trees(parse_listing(only_before), parse_listing(only_after));
    diff.size_change = trees.size_change;
    compare_contents(appliance, other, trees);
    std::map<std::string, std::string> owned = owners(appliance, "", diff.packages);
    owned.merge(owners(appliance, other, diff.packages));
    diff.files = std::move(trees.files);
    for (FileChange& file : diff.files) {
        const auto owner = owned.find(file.path);
        file.package = owner == owned.end() ? "" : owner->second;
        file.state = is_state(file.path);
    }
    add_services(diff);
    return diff;
}

} // namespace

std::vector<PackageChange> diff_packages(const std::vector<Package>& before, const std::vector<Package>& after)
{
    const auto old = by_key(before);
    const auto now = by_key(after);
    std::vector<PackageChange> changes;
    for (const auto& [key, version] : old) {
        const auto found = now.find(key);
        if (found == now.end()) {
            changes.push_back({key.first, key.second, version, ""});
        } else if (found->second != version) {
            changes.push_back({key.first, key.second, version, found->second});
        }
    }
    for (const auto& [key, version] : now) {
        if (!old.contains(key)) {
            changes.push_back({key.first, key.second, "", version});
        }
    }
    std::ranges::sort(changes, {}, [](const PackageChange& c) { return std::tie(c.name, c.architecture); });
    return changes;
}

ImageDiff diff_images(const std::vector<ImageDisk>& before, const std::vector<ImageDisk>& after,
                      const DiffOptions& options, Progress& progress, const std::stop_token& stop)
{
    require_program("qemu-storage-daemon", "qemu-system-common");
    std::vector<DiskChain> chains = throwaway_chains(before, options.work, "before");
    std::ranges::move(throwaway_chains(after, options.work, "after"), std::back_inserter(chains));
    progress.stage("start the libguestfs appliance");
    BlockServer server(chains, options.sockets);
    std::vector<ApplianceDrive> drives;
    for (std::size_t i = 0; i < chains.size(); ++i) {
        drives.push_back({server.socket(), BlockServer::export_name(i)});
    }
    Appliance appliance(
        {.accelerator = options.accelerator, .temporary = options.work, .warm = options.cache / "appliance"}, drives,
        stop);
    progress.stage("find the systems");
    const TwoSystems systems = find_two_systems(appliance, before.size());
    const std::string other = "/kiln-" + random_hex(12); // no path of the image's
    for (const Mountpoint& mount : systems.before) {
        appliance.mount(mount.device, mount.mount);
    }
    appliance.make_directories(other);
    for (const Mountpoint& mount : systems.after) {
        appliance.mount(mount.device, mount.mount == "/" ? other : other + mount.mount);
    }
    ImageDiff diff = compare(appliance, other, progress);
    appliance.shutdown();
    server.stop();
    return diff;
}

Json to_json(const ImageDiff& diff)
{
    const auto text = [](const std::string& word) { return word.empty() ? Json() : Json(printable(word, false)); };
    const auto list = [&](const std::vector<std::string>& words) {
        Json json = Json::array();
        std::ranges::transform(words, std::back_inserter(json), text);
        return json;
    };
    Json packages = Json::array();
    for (const PackageChange& change : diff.packages) {
        packages.push_back({{"name", text(change.name)},
                            {"architecture", text(change.architecture)},
                            {"from", text(change.from)},
                            {"to", text(change.to)}});
    }
    Json files = Json::array();
    constexpr std::array<const char*, 3> kinds{"added", "removed", "changed"};
    for (const FileChange& file : diff.files) {
        files.push_back({{"path", printable(file.path, false)},
                         {"change", kinds.at(static_cast<std::size_t>(file.kind))},
                         {"package", text(file.package)},
                         {"state", file.state}});
    }
    return {{"packages", std::move(packages)},
            {"files", std::move(files)},
            {"users_added", list(diff.users_added)},
            {"users_removed", list(diff.users_removed)},
            {"services_enabled", list(diff.services_enabled)},
            {"services_disabled", list(diff.services_disabled)},
            {"size_change", diff.size_change}};
}

} // namespace kiln::builder
