// SPDX-License-Identifier: Apache-2.0
#include "recipes/source_file.h"

#include "core/error.h"
#include "core/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace kiln::recipes
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_file = mebibytes(16);
constexpr ByteSize largest_total = mebibytes(64);

bool is_below(const fs::path& path, const fs::path& folder)
{
    const auto [rest, end] = std::ranges::mismatch(path, folder);
    return end == folder.end() && rest != path.end();
}

} // namespace

SourceFiles::SourceFiles(const fs::path& folder) : folder_(folder.empty() ? fs::path(".") : folder) {}

Checked<std::string> SourceFiles::read(const std::string& relative)
{
    if (folder_.empty()) {
        return Problem{"this component has no files beside it", "write the `content` instead"};
    }
    std::error_code failed;
    const fs::path folder = fs::canonical(folder_, failed);
    const fs::path path = failed ? fs::path() : fs::canonical(folder / relative, failed);
    if (failed) {
        return Problem{fmt::format("{} can't be read: {}", in_quotes(relative), failed.message()),
                       "files are looked up in the recipe's folder"};
    }
    if (!is_below(path, folder)) {
        return Problem{in_quotes(relative) + " leads out of the recipe's folder", "copy the file into it"};
    }
    if (!fs::is_regular_file(path, failed)) {
        return Problem{in_quotes(relative) + " is not a regular file", "name a file"};
    }
    std::string content;
    try {
        // The size is looked at first, so that nothing is read in vain; read_file stays with the limit.
        if (fs::file_size(path) <= largest_file.bytes()) {
            content = read_file(path, largest_file);
        } else {
            return Problem{fmt::format("{} is larger than {}", in_quotes(relative), to_string(largest_file)),
                           "fetch large files in a `run` step, or install them as a package"};
        }
    } catch (const std::exception& error) {
        return Problem{fmt::format("{} can't be read: {}", in_quotes(relative), shortened(error.what(), 200)),
                       "the user who builds must be able to read it"};
    }
    total_ = total_ + ByteSize(content.size());
    if (total_.bytes() > largest_total.bytes()) {
        return Problem{fmt::format("the files of this recipe hold more than {} together", to_string(largest_total)),
                       "fetch large files in a `run` step, or install them as a package"};
    }
    return content;
}

} // namespace kiln::recipes
