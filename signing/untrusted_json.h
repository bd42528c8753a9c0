// SPDX-License-Identifier: Apache-2.0
// core/json.h calls a malformed document an I/O error; in what claims to be signed it is a matter of
// trust. Private to signing/.
#pragma once

#include "core/error.h"

#include <utility>

namespace kiln::signing
{

// Runs `read` and throws its Error{io} as Error{untrusted}.
template <typename Function> auto as_untrusted(Function&& read)
{
    try {
        return std::forward<Function>(read)();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::io) {
            throw;
        }
        throw Error(ErrorKind::untrusted, error.message(), error.hint());
    }
}

} // namespace kiln::signing
