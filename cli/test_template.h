// SPDX-License-Identifier: Apache-2.0
// The template of warm launches that `kiln test` makes of an AMI with `[launch] warm = true`: the instance that is
// tested is saved when it has booted, and then goes on. It is an extra: what fails on the way to it is said in a line
// on standard error, and the tests decide.
#pragma once

#include "cli/context.h"
#include "core/progress.h"
#include "launcher/warm/template_making.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace kiln::cli
{

class TestTemplate
{
public:
    // Not `wanted`: all else does nothing. Asks for the passphrase of an encrypted key, as signing does.
    TestTemplate(const Context& context, const registry::Region& region, registry::Image image, bool wanted);

    // For the launch of the instance, which is not to outlive this object.
    [[nodiscard]] std::optional<std::filesystem::path> folder() const;
    // Once its guest is ready, which said `ready`.
    void save(const launcher::Instance& instance, const std::string& ready, Progress& progress);
    // Once all has passed and the instance is gone. Returns the template's id, or none.
    [[nodiscard]] std::optional<std::string> finish(Progress& progress);

private:
    void attempt(const std::function<void()>& work);

    const Context& context_;
    const registry::Region& region_;
    const registry::Image image_;
    std::optional<signing::SecretKey> key_;
    std::optional<launcher::TemplateMaking> making_;
    bool hopeful_ = false; // wanted, and nothing has failed so far
};

} // namespace kiln::cli
