// SPDX-License-Identifier: Apache-2.0
#include "signing/keys.h"
