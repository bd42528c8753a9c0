// SPDX-License-Identifier: Apache-2.0
// All that the saved state of an instance depends on. Two instances of the same shape differ in nothing that QEMU or
// the guest's kernel keeps, but for what a clone's identity replaces.
#pragma once

#include "core/json.h"
#include "launcher/instance.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::launcher
{

struct TemplateShape {
    std::string image_manifest; // digest: it names the layers, too
    std::string qemu;           // the program: its path, size and time
    std::string machine;
    std::string cpu; // the guest's model; with KVM also the host's
    Accelerator accelerator = Accelerator::tcg;
    std::string type;
    unsigned vcpus = 1;
    ByteSize memory;
    std::string boot_mode;
    std::vector<std::pair<std::string, ByteSize>> volumes; // device and size
    std::string devices; // digest of QEMU's arguments, without what is the instance's own
    std::string agent;   // digest of kiln-clone-agent
};

// The one network in which every guest has the same address, so that a clone need not ask for another.
inline constexpr std::string_view template_network = "user";

// Of this host's QEMU. Throws Error{missing_tool}.
[[nodiscard]] std::string find_qemu_identity();

[[nodiscard]] TemplateShape shape_of(const Instance& instance, const std::string& qemu);

[[nodiscard]] Json to_json(const TemplateShape& shape);
[[nodiscard]] TemplateShape shape_from_json(const Json& json); // throws Error{io}
// 24 hex digits; two shapes have the same when nothing differs.
[[nodiscard]] std::string template_id_of(const TemplateShape& shape);

// What a template is not, one clause each: "it is for a t3.small with 2 vCPUs and 2 GiB, not a t3.micro ..."; empty:
// it fits.
[[nodiscard]] std::vector<std::string> differences(const TemplateShape& found, const TemplateShape& wanted);

} // namespace kiln::launcher
