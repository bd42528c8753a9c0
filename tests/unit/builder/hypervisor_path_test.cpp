// SPDX-License-Identifier: Apache-2.0
#include "builder/hypervisor_path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace kiln::builder
{
namespace
{

// libguestfs's buffer for a shell command, as add_string() of its lib/command.c (1.48.6) grows it.
struct CommandBuffer {
    std::size_t length = 0;
    std::size_t allocated = 0;
    std::size_t written_behind = 0;

    void add(std::string_view piece)
    {
        if (length >= allocated) {
            allocated = allocated == 0 ? 256 : allocated + std::max(allocated, piece.size());
        }
        length += piece.size();
        written_behind = std::max(written_behind, length - std::min(length, allocated));
    }

    void add_quoted(std::string_view text)
    {
        add("\"");
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (std::string_view("$`\\\"").find(text[i]) != std::string_view::npos) {
                add("\\");
            }
            add(text.substr(i, 1));
        }
        add("\"");
    }
};

// As generic_qmp_test() of its lib/qemu.c does.
std::size_t written_behind(std::string_view hypervisor, std::string_view command)
{
    CommandBuffer buffer;
    for (const std::string_view piece :
         {std::string_view("echo "), std::string_view(R"('{ "execute": "qmp_capabilities" }' )"),
          std::string_view(R"('{ "execute": ")"), command, std::string_view("\" }' "),
          std::string_view(R"('{ "execute": "quit" }' )"), std::string_view(" | "),
          std::string_view("QEMU_AUDIO_DRV=none ")}) {
        buffer.add(piece);
    }
    buffer.add_quoted(hypervisor);
    buffer.add(" -display none");
    buffer.add(" -machine ");
    buffer.add_quoted("accel=kvm:tcg");
    buffer.add(" -qmp stdio");
    buffer.add(std::string_view("\0", 1));
    return buffer.written_behind;
}

TEST(HypervisorPath, KeepsLibguestfsWithinItsBuffer)
{
    EXPECT_EQ(written_behind(std::string(89, 'x'), "query-qmp-schema"), 9U); // what it is for
    for (const char letter : {'x', '$'}) {
        for (std::size_t length = 1; length < 4000; ++length) {
            const std::string path = hypervisor_path("/" + std::string(length, letter) + "/qemu-system");
            for (const std::string_view command : {"query-qmp-schema", "query-kvm"}) {
                ASSERT_EQ(written_behind(path, command), 0U) << length << " " << command;
            }
        }
    }
}

TEST(HypervisorPath, IsAnotherNameOfTheSameFile)
{
    const std::string path = hypervisor_path("/home/user/.local/share/kiln/jobs/build-12345678/warm-save/qemu-system");
    EXPECT_GT(path.size(), 140U);
    EXPECT_EQ(std::filesystem::path(path).lexically_normal(),
              "/home/user/.local/share/kiln/jobs/build-12345678/warm-save/qemu-system");
    EXPECT_EQ(hypervisor_path("/tmp/qemu-system"), "/tmp/qemu-system");
}

} // namespace
} // namespace kiln::builder
