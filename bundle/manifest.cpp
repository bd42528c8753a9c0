// SPDX-License-Identifier: Apache-2.0
#include "bundle/manifest.h"
