// SPDX-License-Identifier: Apache-2.0
// Names and passwords for remote registries, from files as `skopeo login`, `podman login` and `docker login` write
// them (containers-auth.json(5)). Nothing of one ends up in an error or a log.
#pragma once

#include "registry/remote/remote_reference.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kiln::registry::remote
{

struct Credentials {
    std::string user;
    std::string password;
    std::string file;                        // that they are from
    std::optional<std::string> token_host{}; // another host that may get them: HOST[:PORT] of a token server
};

// $REGISTRY_AUTH_FILE alone, or else `own` ("kiln_home/registry-auth.json"), the files of containers tools and of
// docker, in that order; also ones that don't exist.
[[nodiscard]] std::vector<std::filesystem::path> credential_files(const std::filesystem::path& own);

// Of the first file that has some for the repository, one of the folders that it is in, or its host. Throws Error{io}
// for a file that is not such a file, Error{permission_denied} when others may read it.
[[nodiscard]] std::optional<Credentials> find_credentials(const std::vector<std::filesystem::path>& files,
                                                          const RemoteReference& reference);

} // namespace kiln::registry::remote
