// SPDX-License-Identifier: Apache-2.0
// What a strict reader says about hostile input: the message of its Error{untrusted}, or "accepted".
#pragma once

#include "core/error.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace kiln::test
{

inline std::string complaint_of(const std::function<void()>& read)
{
    try {
        read();
    } catch (const Error& error) {
        EXPECT_EQ(ErrorKind::untrusted, error.kind());
        return error.message();
    }
    return "accepted";
}

} // namespace kiln::test
