// SPDX-License-Identifier: Apache-2.0
// The paths of a home in a temporary folder, for tests about accounts.
#pragma once

#include "core/paths.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

namespace kiln::test
{

class AccountHome : public ::testing::Test
{
protected:
    TemporaryFolder folder;
    Paths paths = [this] {
        Paths made;
        made.home = folder.path() / "home";
        made.account = made.home / "account";
        made.trust = made.home / "trust";
        return made;
    }();
};

} // namespace kiln::test
