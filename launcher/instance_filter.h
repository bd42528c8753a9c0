// SPDX-License-Identifier: Apache-2.0
// Which instances somebody wants to see: EC2's filters, "NAME=VALUE,VALUE..." with * and ? in the values.
#pragma once

#include "launcher/instance.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

// * stands for any characters, also none, ? for one.
[[nodiscard]] bool matches_pattern(std::string_view text, std::string_view pattern);

class InstanceFilter
{
public:
    // Names: state, type, image (an id, NAME or NAME@VERSION), name, tag:KEY, tag-key, and EC2's longer ones
    // (instance-state-name, instance-type, image-id, instance-id). Throws Error{usage}.
    explicit InstanceFilter(const std::vector<std::string>& texts);

    [[nodiscard]] bool matches(const Instance& instance) const; // each filter by one of its values
    // Terminated instances are shown when asked for only.
    [[nodiscard]] bool asks_for_terminated() const;

private:
    struct Term {
        std::string name;
        std::string key; // of tag:KEY
        std::vector<std::string> patterns;
    };
    std::vector<Term> terms_;
};

} // namespace kiln::launcher
