// SPDX-License-Identifier: Apache-2.0
// The recipes that ship with Kiln.
#include "recipes/recipe.h"

#include <gtest/gtest.h>
