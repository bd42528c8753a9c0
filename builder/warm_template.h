// SPDX-License-Identifier: Apache-2.0
// Saved appliances, each in a folder named after its key: all that its saved state depends on. A finished folder
// never changes. One process at a time makes or removes them; a reader takes no lock and falls back when one goes away.
#pragma once

#include "core/accelerator.h"
#include "core/json.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::builder
{

// What a saved machine depends on. Files are told by path, size and modification time.
struct TemplateInputs {
    std::string qemu_version;
    std::string qemu; // the program's file
    std::string machine;
    std::string cpu; // the model for the guest, and the host's
    Accelerator accelerator = Accelerator::tcg;
    int cpus = 2;
    int memory_mib = 0;
    bool network = false;
    std::string kernel;
    std::string libguestfs_version;
    std::vector<std::string> parts; // libguestfs's own files that the appliance is made of
    std::string packages;           // the host's, which the appliance is made of too
    std::string helpers;            // the digest of ours
};

// Throws Error{missing_tool} when something is missing.
[[nodiscard]] TemplateInputs find_template_inputs(Accelerator accelerator, bool network, const std::stop_token& stop);
[[nodiscard]] Json to_json(const TemplateInputs& inputs);
[[nodiscard]] std::string template_key(const TemplateInputs& inputs);

struct Template {
    std::filesystem::path folder;
    std::chrono::milliseconds took{0}; // what making it took
};

// The finished one for these inputs in the folder `cache`, or nullopt.
[[nodiscard]] std::optional<Template> find_template(const std::filesystem::path& cache, const TemplateInputs& inputs);

// Finds or makes it, in `work` (a private folder on the same file system; about 0.7 GB). Waits while another process
// makes one. Keeps the two that were used last. Throws Error{launch, io, no_space, missing_tool, interrupted}; after a
// failure for an hour at once.
[[nodiscard]] Template ensure_template(const std::filesystem::path& cache, const TemplateInputs& inputs,
                                       const std::filesystem::path& work, const std::stop_token& stop);

void remove_template(const std::filesystem::path& cache, const TemplateInputs& inputs) noexcept;

} // namespace kiln::builder
