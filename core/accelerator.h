// SPDX-License-Identifier: Apache-2.0
// Which QEMU accelerator works here. /dev/kvm can open and yet not boot a kernel, so the verdict
// comes from booting one, which also tells how fast the host is; it is cached by host boot, kernel, QEMU version
// and CPU.
#pragma once

#include "core/paths.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace kiln
{

enum class Accelerator { kvm, tcg };
[[nodiscard]] std::string_view name_of(Accelerator accelerator) noexcept;
[[nodiscard]] std::optional<Accelerator> parse_accelerator(std::string_view text);

struct AcceleratorVerdict {
    Accelerator accelerator = Accelerator::tcg;
    std::string reason{};    // one sentence: what was seen
    bool overridden = false; // by KILN_ACCELERATOR
    bool cached = false;
    std::chrono::milliseconds boot{0}; // that a kernel took under it; 0 when overridden
};

// The verdict for this host: KILN_ACCELERATOR (kvm, tcg) decides when set, else the cache, else a
// probe (about two seconds; 20 at most under KVM, 120 without). Throws Error{missing_tool} without QEMU or a kernel to
// boot, Error{usage} for another value of the variable, Error{interrupted}.
[[nodiscard]] AcceleratorVerdict find_accelerator(const Paths& paths, const std::stop_token& stop,
                                                  bool probe_anew = false);

// How long to wait for a guest: `usual`, and up to ten times that where a kernel took longer to boot than on
// the host that Kiln's times come from. `usual` when no probe told.
[[nodiscard]] std::chrono::seconds host_patience(const Paths& paths, Accelerator accelerator,
                                                 std::chrono::seconds usual);

// The newest kernel below /boot that this user can read; libguestfs boots the same one.
[[nodiscard]] std::optional<std::filesystem::path> find_kernel();

} // namespace kiln
