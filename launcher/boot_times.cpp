// SPDX-License-Identifier: Apache-2.0
#include "launcher/boot_times.h"

#include "core/error.h"
#include "core/files.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace kiln::launcher
{
namespace
{

constexpr std::size_t fewest_boots = 3;
constexpr std::size_t most_boots = 9;

std::vector<double> boots_in(const Json& all, const std::string& kind)
{
    std::vector<double> boots;
    const auto found = all.find(kind);
    if (found != all.end() && found->is_array()) {
        for (const Json& seconds : *found) {
            if (seconds.is_number()) {
                boots.push_back(seconds.get<double>());
            }
        }
    }
    return boots;
}

Json load_all(const std::filesystem::path& file)
{
    try {
        Json all = parse_json(read_file(file, mebibytes(4)), file.native());
        return all.is_object() ? all : Json::object();
    } catch (const Error&) {
        return Json::object();
    }
}

} // namespace

BootTimes::BootTimes(std::filesystem::path file) : file_(std::move(file)) {}

std::optional<double> BootTimes::expected(const std::string& kind) const
{
    std::vector<double> boots = boots_in(load_all(file_), kind);
    if (boots.size() < fewest_boots) {
        return std::nullopt;
    }
    const auto middle = boots.begin() + static_cast<std::ptrdiff_t>(boots.size() / 2);
    std::nth_element(boots.begin(), middle, boots.end());
    return *middle;
}

void BootTimes::add(const std::string& kind, double seconds)
{
    make_directories(file_.parent_path(), 0700);
    const FileLock lock(file_.native() + ".lock", FileLock::Wait::block);
    Json all = load_all(file_);
    std::vector<double> boots = boots_in(all, kind);
    boots.push_back(seconds);
    if (boots.size() > most_boots) {
        boots.erase(boots.begin(), boots.end() - static_cast<std::ptrdiff_t>(most_boots));
    }
    all[kind] = boots;
    write_file_durably(file_, all.dump(1) + "\n", 0600);
}

bool is_slower(double seconds, double expected, unsigned tolerance_percent) noexcept
{
    return seconds > expected * (1 + tolerance_percent / 100.0) && seconds > expected + 1;
}

} // namespace kiln::launcher
