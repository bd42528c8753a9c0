// SPDX-License-Identifier: Apache-2.0
// Part of kiln-clone-agent: the IPv4 address of a network card. Each function throws Failure.
#pragma once

#include <string>

namespace kiln::guest
{

// "ADDRESS NETMASK ROUTER": in the place of the address and the default route that are there. A DHCP client that comes
// to itself later is given the same.
void set_address(const std::string& card, const std::string& value);

// Empty: it has none.
[[nodiscard]] std::string address_of(const std::string& card);

} // namespace kiln::guest
