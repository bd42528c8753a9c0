// SPDX-License-Identifier: Apache-2.0
// Key pairs as EC2's: public keys under names, for ssh to instances (`kiln run --key NAME`). A record each,
// keypairs/NAME.json. The private half is given to who made it, once, and kept nowhere.
#pragma once

#include "core/json.h"
#include "core/paths.h"
#include "launcher/instance.h"

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct KeyPair {
    std::string id; // "key-" and 17 hex digits
    std::string name;
    std::string type;        // "ed25519" or "rsa"
    std::string fingerprint; // as EC2 shows it: docs/instances.md
    std::string public_key;  // "ssh-ed25519 AAAA..."
    std::string created;     // ISO 8601
    Tags tags;
};

[[nodiscard]] Json to_json(const KeyPair& pair);
[[nodiscard]] KeyPair key_pair_from_json(const Json& json); // throws Error{io}

// 1 to 64 letters, digits and inner . _ - that are no id. Throws Error{usage}.
void require_key_pair_name(std::string_view name);

struct NewKeyPair {
    KeyPair pair;
    std::string secret; // for ssh -i
};
// `type`: "ed25519" or "rsa" (2048 bits). `keep` gets the secret before the pair is recorded, so that no pair is there
// whose secret nobody has; what it throws goes up. Throws Error{conflict} for a name that is taken, {usage,
// missing_tool}.
KeyPair create_key_pair(const Paths& paths, const std::string& name, const std::string& type, const Tags& tags,
                        const std::function<void(const NewKeyPair&)>& keep, const std::stop_token& stop);
// `line`: as in a .pub file.
KeyPair import_key_pair(const Paths& paths, const std::string& name, std::string_view line, const Tags& tags,
                        const std::stop_token& stop);

[[nodiscard]] std::vector<KeyPair> list_key_pairs(const Paths& paths); // by name
// By name or id. Throws Error{not_found}.
[[nodiscard]] KeyPair resolve_key_pair(const Paths& paths, std::string_view reference);
// Instances keep the key that they were launched with.
void delete_key_pair(const Paths& paths, const KeyPair& pair);

} // namespace kiln::launcher
