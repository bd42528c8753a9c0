// SPDX-License-Identifier: Apache-2.0
// How long images took to boot on this host, so that a slower boot is noticed. A file of the home's cache; losing it
// loses the comparison with before, and nothing else.
#pragma once

#include "core/json.h"

#include <filesystem>
#include <optional>
#include <string>

namespace kiln::launcher
{

class BootTimes
{
public:
    // A file that is missing or damaged counts as empty.
    explicit BootTimes(std::filesystem::path file);

    // The median of the last boots of that kind in seconds; nullopt when there were less than 3.
    [[nodiscard]] std::optional<double> expected(const std::string& kind) const;
    // Adds one, durably; the 9 newest of a kind are kept. Throws Error{io, no_space}.
    void add(const std::string& kind, double seconds);

private:
    std::filesystem::path file_;
};

// Slower than the expectation by more than the tolerance, in percent, and by more than a second: a boot of two seconds
// varies by one.
[[nodiscard]] bool is_slower(double seconds, double expected, unsigned tolerance_percent) noexcept;

} // namespace kiln::launcher
