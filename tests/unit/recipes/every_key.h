// SPDX-License-Identifier: Apache-2.0
// tests/golden/recipes/every-key.toml, a recipe with every key of the language, and the files that it names.
#pragma once

#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <filesystem>
#include <string>

namespace kiln::recipes::test
{

inline std::string replaced(std::string text, std::string_view from, std::string_view to)
{
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
    return text;
}

inline const std::string logo("\x89PNG\0\xff", 6);

class EveryKey : public testing::Test
{
protected:
    void SetUp() override
    {
        make_directories(folder_.path() / "files/app");
        make_directories(folder_.path() / "components");
        write("files/logo", logo);
        write("files/port", "{{ listen_port }}\n");
        write("files/app/main", "#!/bin/sh\n");
        write("files/tool.tar.gz", "ARCHIVE");
        write("files/setup.sh", "#!/bin/sh\ntrue\n");
        write("files/example.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n");
        write("files/root.pem", certificate);
        write("components/web-server.toml", "name = \"web-server\"\nversion = \"1.2.0\"\n"
                                            "[parameters.workers]\ntype = \"integer\"\n"
                                            "[[build]]\nrun = \"start {{ workers }}\"\n"
                                            "[[validate]]\nrun = \"look at {{ workers }}\"\n"
                                            "[[test]]\nname = \"has workers\"\nrun = \"count {{ workers }}\"\n");
    }
    void write(const std::string& name, std::string_view bytes) const
    {
        write_file_durably(folder_.path() / name, bytes);
    }
    [[nodiscard]] static std::string text()
    {
        const std::string recipe =
            read_file(std::filesystem::path(KILN_SOURCE_DIR) / "tests/golden/recipes/every-key.toml");
        return replaced(replaced(recipe, "SHA256_OF_PORT", digest_of("{{ listen_port }}\n").hex()), "SHA256_OF_ARCHIVE",
                        digest_of("ARCHIVE").hex());
    }
    [[nodiscard]] Recipe parse(std::string_view recipe, const std::string& name = "x.toml") const
    {
        return parse_recipe(recipe, folder_.path() / name);
    }
    [[nodiscard]] Recipe parse() const { return parse(text()); }

    kiln::test::TemporaryFolder folder_;
};

} // namespace kiln::recipes::test
