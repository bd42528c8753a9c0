// SPDX-License-Identifier: Apache-2.0
#include "registry/test_result.h"

#include "bundle/test_result_type.h"
#include "core/error.h"
#include "core/files.h"
#include "registry/envelope.h"
#include "registry/predicate_type.h"
#include "registry/region_state.h"
#include "signing/attestation.h"

#include <fmt/format.h>

namespace kiln::registry
{
namespace
{

constexpr std::string_view document = "a test's result";

// canonical_json holds no fractions.
Json without_fractions(const Json& environment)
{
    Json texts = Json::object();
    for (const auto& [key, value] : environment.items()) {
        texts[key] = value.is_number_float() ? Json(fmt::format("{:.3f}", value.get<double>())) : value;
    }
    return texts;
}

Json predicate_of(const TestRun& run)
{
    return {
        {"result", run.failed.empty() ? "PASSED" : "FAILED"},
        {"configuration", Json::array({{{"name", "instance"}, {"annotations", without_fractions(run.environment)}}})},
        {"passedTests", run.passed},
        {"warnedTests", Json::array()},
        {"failedTests", run.failed},
        {"finished", run.finished}};
}

TestRun run_from(const Json& predicate)
{
    TestRun run;
    run.finished = string_member(predicate, "finished", document);
    try {
        run.passed = member(predicate, "passedTests", document).get<std::vector<std::string>>();
        run.failed = member(predicate, "failedTests", document).get<std::vector<std::string>>();
        run.environment = member(predicate, "configuration", document).at(0).at("annotations");
    } catch (const Json::exception& error) {
        throw Error(ErrorKind::untrusted, fmt::format("{} is malformed: {}", document, error.what()));
    }
    if ((string_member(predicate, "result", document) == "PASSED") != run.failed.empty()) {
        throw Error(ErrorKind::untrusted, fmt::format("{} contradicts itself", document));
    }
    return run;
}

} // namespace

void attach_test_run(const Region& region, const Image& image, const TestRun& run, const signing::SecretKey& key)
{
    const bundle::Layout& layout = region.layout();
    const std::string envelope =
        signing::sign_attestation({.subject_name = fmt::format("{}@{}", image.name, image.version.to_string()),
                                   .subject = image.manifest,
                                   .predicate_type = std::string(predicate_type_of(bundle::test_result_artifact_type)),
                                   .predicate = predicate_of(run)},
                                  key);
    const FileLock lock(lock_file(layout.folder()), FileLock::Wait::block);
    const bundle::Descriptor subject{std::string(bundle::oci_manifest_type), image.manifest,
                                     ByteSize(layout.read_verified(image.manifest).size())};
    layout.add_to_index(store_envelope(envelope, bundle::test_result_artifact_type, subject, layout),
                        bundle::test_result_artifact_type, {{bundle::subject_annotation, image.manifest.to_string()}});
}

std::optional<TestRun> newest_test_run(const bundle::Layout& layout, const Image& image,
                                       const signing::TrustStore& trust)
{
    const std::vector<signing::PublicKey> keys = trust.keys_of(image.owner);
    std::optional<TestRun> newest;
    for (const Digest& digest : layout.find_attached(image.manifest, bundle::test_result_artifact_type)) {
        try {
            const auto attached =
                bundle::parse_attached_oci_manifest(layout.read_verified(digest), bundle::test_result_artifact_type);
            const auto predicate =
                signing::verify_attestation(layout.read_verified(attached.envelope.digest), keys, image.manifest,
                                            predicate_type_of(bundle::test_result_artifact_type));
            if (!predicate) {
                continue;
            }
            TestRun run = run_from(*predicate);
            if (!newest || run.finished >= newest->finished) {
                newest = std::move(run);
            }
        } catch (const Error&) { // somebody else's, or damaged: it proves nothing
        }
    }
    return newest;
}

} // namespace kiln::registry
