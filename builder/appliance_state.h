// SPDX-License-Identifier: Apache-2.0
// The inside of Appliance, for the files that implement it: libguestfs's handle and its errors.
#pragma once

#include "builder/appliance.h"
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

struct FreeList {
    void operator()(char** list) const
    {
        for (char** entry = list; entry != nullptr && *entry != nullptr; ++entry) {
            std::free(*entry);
        }
        std::free(list);
    }
};
using StringList = std::unique_ptr<char*, FreeList>;

struct FreeString {
    void operator()(char* string) const { std::free(string); }
};
using String = std::unique_ptr<char, FreeString>;

struct Appliance::State {
    std::unique_ptr<guestfs_h, decltype(&guestfs_close)> handle{guestfs_create_flags(GUESTFS_CREATE_NO_CLOSE_ON_EXIT),
                                                                guestfs_close};
    std::filesystem::path temporary;
    std::stop_token stop;
    std::optional<std::filesystem::path> transfer; // see ApplianceOptions
    std::string transfer_label;
    std::optional<std::stop_callback<void (*)()>> on_stop;

    [[nodiscard]] guestfs_h* get() const { return handle.get(); }

    [[noreturn]] void fail(ErrorKind kind, std::string_view doing) const
    {
        throw_if_interrupted(stop);
        const char* words = guestfs_last_error(get());
        const std::string text = printable(words != nullptr ? words : "no error was given", false);
        const bool full = text.find("No space left on device") != std::string::npos;
        throw Error(full ? ErrorKind::no_space : kind, fmt::format("{}: {}", doing, text),
                    full ? "the volume is too small for its content: raise storage.size in the recipe" : "");
    }

    // Runs a script of the appliance's own system, where the guest's root is /sysroot.
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
