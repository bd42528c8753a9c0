// SPDX-License-Identifier: Apache-2.0
#include "launcher/instance.h"
