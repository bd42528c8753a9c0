// SPDX-License-Identifier: Apache-2.0
// Results of an image's tests, signed by its owner and attached to it; each new one beside those of before, and the
// newest counts. Source: in-toto attestation framework, predicate "Test Result" v0.1.
#pragma once

#include "core/json.h"
#include "registry/region.h"

#include <optional>
#include <string>
#include <vector>

namespace kiln::registry
{

struct TestRun {
    std::string finished{}; // ISO 8601, by the signer's clock
    std::vector<std::string> passed{};
    std::vector<std::string> failed{};
    Json environment = Json::object(); // what it ran on: texts and numbers, for people
};

// Signs the result and attaches it. The key must be one of the image's owner, or it counts for nothing. Throws
// Error{io, no_space}.
void attach_test_run(const Region& region, const Image& image, const TestRun& run, const signing::SecretKey& key);

// The newest that a key signed which is trusted for the image's owner; nullopt when there is none.
[[nodiscard]] std::optional<TestRun> newest_test_run(const bundle::Layout& layout, const Image& image,
                                                     const signing::TrustStore& trust);

} // namespace kiln::registry
