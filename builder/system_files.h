// SPDX-License-Identifier: Apache-2.0
// The text of the guest's configuration files that steps change. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

// /etc/hosts in which 127.0.1.1 is `name`, and its first label where it has more (hosts(5), Debian reference 5.1.1).
[[nodiscard]] std::string with_own_name(std::string_view hosts, const std::string& name);

// A unit's name with its type: "ssh" is "ssh.service" (systemd.unit(5)).
[[nodiscard]] std::string unit_name(const std::string& name);

// The line of /usr/share/i18n/SUPPORTED for a locale ("de_DE.UTF-8 UTF-8"), or "".
[[nodiscard]] std::string supported_locale(std::string_view supported, std::string_view locale);
// /etc/locale.gen with that line.
[[nodiscard]] std::string with_line(std::string_view text, std::string_view line);

// Each certificate of a PEM text, since update-ca-certificates(8) takes one in a file. What stands around them
// is dropped.
[[nodiscard]] std::vector<std::string> certificates_of(std::string_view pem);

} // namespace kiln::builder
