// SPDX-License-Identifier: Apache-2.0
// The inside of Appliance, for the files that implement it: libguestfs's handle and its errors.
#pragma once

#include "builder/appliance.h"
#include "builder/guestfs_handle.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/text.h"

#include <fmt/format.h>
#include <guestfs.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

struct Appliance::State {
    GuestfsHandle handle;
    std::filesystem::path temporary;
    std::string stock_reason;
    bool warm = false;
    std::size_t drives = 0; // the caller's
    std::stop_token stop;
    std::optional<std::filesystem::path> transfer; // see ApplianceOptions
    std::string transfer_label;
    std::optional<std::stop_callback<void (*)()>> on_stop;

    [[nodiscard]] guestfs_h* get() const { return handle.get(); }

    [[noreturn]] void fail(ErrorKind kind, std::string_view doing) const
    {
        throw_if_interrupted(stop);
        const std::string text = last_error(get());
        const bool full = text.find("No space left on device") != std::string::npos;
        throw Error(full ? ErrorKind::no_space : kind, fmt::format("{}: {}", doing, text),
                    full ? "the volume is too small for its content: raise storage.size in the recipe" : "");
    }

    // Runs a script of the appliance's own system, where the guest's root is /sysroot.
    // NOLINTNEXTLINE(modernize-use-nodiscard): most callers want what it does, not what it prints.
    std::string run_outside(const std::string& script, std::string_view doing) const
    {
        const char* argv[] = {script.c_str(), nullptr};
        const String output(guestfs_debug(get(), "sh", const_cast<char**>(argv)));
        if (!output) {
            fail(ErrorKind::step_failed, doing);
        }
        return output.get();
    }

    [[nodiscard]] std::vector<std::string> strings(char** owned, std::string_view doing) const
    {
        const StringList list(owned);
        if (!list) {
            fail(ErrorKind::step_failed, doing);
        }
        std::vector<std::string> strings;
        for (char** entry = list.get(); *entry != nullptr; ++entry) {
            strings.emplace_back(*entry);
        }
        return strings;
    }

    void check(int result, std::string_view doing) const
    {
        if (result == -1) {
            fail(ErrorKind::step_failed, doing);
        }
    }
};

} // namespace kiln::builder
