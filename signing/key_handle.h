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

} // namespace kiln::signing
