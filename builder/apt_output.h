// SPDX-License-Identifier: Apache-2.0
// What `apt-get --simulate` and `--print-uris` print, as data: which packages change, in the order that apt
// found right, and which files that takes.
#pragma once

#include "builder/installed_package.h"
#include "core/byte_size.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

struct AptAction {
    enum class Kind { unpack, configure, remove };
    Kind kind = Kind::unpack;
    std::string package{}; // "nginx", or "libc6:i386" of a foreign architecture
    std::string version{}; // of what is unpacked
    bool is_new = false;   // unpacked where none was before
};

struct AptDownload {
    InstalledPackage package; // sha256 and uri always set
    std::string file;         // as apt names it in its cache: "nginx_1.22.1-9_amd64.deb", without a '/'
    ByteSize size;
};

// Both throw Error{package} for lines that are not what apt writes.
[[nodiscard]] std::vector<AptAction> parse_simulation(std::string_view output);
[[nodiscard]] std::vector<AptDownload> parse_print_uris(std::string_view output);

// The file of a package that is unpacked. Throws Error{package} when there is none.
[[nodiscard]] const AptDownload& download_for(const AptAction& action, const std::vector<AptDownload>& downloads);

// The same actions in few calls of dpkg, each of which costs a second or more in the appliance: a run of one
// kind is one call.
struct AptCall {
    AptAction::Kind kind = AptAction::Kind::unpack;
    std::vector<AptAction> actions{};
};
[[nodiscard]] std::vector<AptCall> group_actions(const std::vector<AptAction>& actions);

} // namespace kiln::builder
