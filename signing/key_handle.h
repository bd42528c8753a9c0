// SPDX-License-Identifier: Apache-2.0
// What the two key types hold. Private to signing/.
#pragma once

#include "signing/keys.h"
#include "signing/openssl.h"

namespace kiln::signing
{

struct PublicKey::Handle {
    KeyHandle key;
};

struct SecretKey::Handle {
    KeyHandle key;
};

// The public half of a key of one of our types in its one form: the named curve, an uncompressed point. Null for
// another type. Throws Error{internal} only for OpenSSL's own failures.
[[nodiscard]] KeyHandle canonical_public_key(EVP_PKEY* key);

} // namespace kiln::signing
