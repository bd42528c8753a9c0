// SPDX-License-Identifier: Apache-2.0
#include "cli/test_template.h"

#include "cli/verification.h"
#include "cli/warm_templates.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/text.h"

#include <fmt/format.h>

namespace kiln::cli
{

TestTemplate::TestTemplate(const Context& context, const registry::Region& region, registry::Image image, bool wanted)
    : context_(context), region_(region), image_(std::move(image)), hopeful_(wanted)
{
    attempt([&] {
        static_cast<void>(signing::ensure_account(context.paths));
        key_ = context.account_key();
        making_.emplace(context.paths);
    });
}

std::optional<std::filesystem::path> TestTemplate::folder() const
{
    return making_ ? std::optional(making_->folder()) : std::nullopt;
}

void TestTemplate::save(const launcher::Instance& instance, const std::string& ready, Progress& progress)
{
    attempt([&] {
        progress.stage("save it booted");
        making_->save(instance, ready, context_.stop);
    });
}

std::optional<std::string> TestTemplate::finish(Progress& progress)
{
    std::optional<std::string> id;
    attempt([&] {
        throw_if_interrupted(context_.stop);
        progress.stage("pack and sign the template");
        registry::VerificationRecord record = verification_record(context_);
        const launcher::WarmTemplate one =
            making_->finish({.region = region_, .image = image_, .key = *key_, .record = &record}).description;
        note_ready(one);
        id = one.id;
    });
    return id;
}

void TestTemplate::attempt(const std::function<void()>& work)
{
    if (!hopeful_) {
        return;
    }
    std::string reason;
    try {
        return work();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        reason = error.message();
    } catch (const std::exception& error) { // of the file system
        reason = error.what();
    }
    hopeful_ = false;
    fmt::print(stderr, "kiln: no template is made of it: {}\n", printable(reason, false));
}

} // namespace kiln::cli
