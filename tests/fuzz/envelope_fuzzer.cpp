// SPDX-License-Identifier: Apache-2.0
// A DSSE envelope from a stranger: refused as untrusted, not signed by our key, or the one that our key signed. What is
// in it is read as each of the statements there are, as if it had been signed: by a key that is trusted for little.
#include "core/error.h"
#include "core/json.h"
#include "core/timestamp.h"
#include "signing/base64.h"
#include "signing/dsse.h"
#include "signing/key_statement.h"
#include "signing/statement.h"
#include "signing/trust_store.h"
#include "tests/fuzz/require.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace kiln::fuzz
{
namespace
{

// The public key of RFC 8032, section 7.1, test 1: the golden envelopes are its.
const signing::PublicKey& known_key()
{
    static const signing::PublicKey key =
        signing::PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\n"
                                     "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                                     "-----END PUBLIC KEY-----\n");
    return key;
}

template <typename Function> void read(const Function& function)
{
    try {
        function();
    } catch (const Error& error) {
        require(error.kind() == ErrorKind::untrusted, "a refusal is for distrust");
    }
}

void read_envelope(std::string_view text)
{
    read([&] {
        const auto verified = signing::verify_envelope(text, signing::in_toto_payload_type, std::array{known_key()});
        require(!verified || verified->key_ids == std::vector{known_key().key_id()}, "only our key counts");
    });
    read([&] {
        const auto claim = signing::claim_of(text);
        require(signing::is_account_id(claim.account) && signing::is_account_id(claim.by), "accounts are accounts");
        require(Digest::parse(claim.key).has_value(), "a key has an id");
        const auto rotation = signing::verify_rotation(text, claim.account, known_key());
        require(rotation.old_key == known_key().key_id() && is_iso_time(rotation.at), "a rotation is about our key");
    });
    read([&] {
        const auto revocation = signing::verify_revocation(text, std::array{known_key()});
        require(is_iso_time(revocation.at) && !revocation.reason.empty(), "a revocation has a time and a reason");
    });
}

// Whatever a statement holds, it is written again as it was read.
void read_payload(std::string_view payload)
{
    read([&] {
        const signing::Statement statement = signing::parse_statement(payload);
        require(parse_json(signing::statement_payload(statement), "x") == parse_json(payload, "x"),
                "a statement says what was read");
    });
}

} // namespace
} // namespace kiln::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    kiln::fuzz::read_envelope(text);
    kiln::fuzz::read_payload(text);
    // The same bytes as the payload of an envelope, which a fuzzer can't encode.
    const kiln::Json wrapped{{"payload", kiln::signing::base64(text)},
                             {"payloadType", kiln::signing::in_toto_payload_type},
                             {"signatures", kiln::Json::array({{{"sig", "AAAA"}}})}};
    kiln::fuzz::read_envelope(kiln::canonical_json(wrapped));
    return 0;
}
