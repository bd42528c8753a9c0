// SPDX-License-Identifier: Apache-2.0
#include "launcher/keys/ssh_public_key.h"

#include "core/error.h"
#include "core/text.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <optional>

namespace kiln::launcher
{
namespace
{

constexpr std::size_t longest_line = 16384;
constexpr std::size_t ed25519_bytes = 32;
constexpr std::size_t least_rsa_bits = 2048;
constexpr std::size_t most_rsa_bits = 16384;

[[noreturn]] void refuse_key(std::string_view why)
{
    throw Error(ErrorKind::usage, fmt::format("this is no public key of SSH: {}", why),
                "give the .pub file that ssh-keygen made, of type ed25519 or rsa");
}

// Takes a field of RFC 4251's type "string" off the bytes.
std::string_view take_field(std::string_view& bytes)
{
    if (bytes.size() < 4) {
        refuse_key("it ends too early");
    }
    std::size_t length = 0;
    for (int i = 0; i < 4; ++i) {
        length = length << 8U | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
    }
    bytes.remove_prefix(4);
    if (length > bytes.size()) {
        refuse_key("it ends too early");
    }
    const std::string_view field = bytes.substr(0, length);
    bytes.remove_prefix(length);
    return field;
}

// Of a positive "mpint".
std::size_t bits_of(std::string_view number)
{
    while (!number.empty() && number.front() == '\0') {
        number.remove_prefix(1);
    }
    if (number.empty()) {
        return 0;
    }
    std::size_t bits = (number.size() - 1) * 8;
    for (unsigned first = static_cast<unsigned char>(number.front()); first != 0; first >>= 1U) {
        ++bits;
    }
    return bits;
}

void require_key(const std::string& name, std::string_view bytes)
{
    if (take_field(bytes) != name) {
        refuse_key("its type is not the one that it says");
    }
    if (name == "ssh-ed25519") {
        if (take_field(bytes).size() != ed25519_bytes) {
            refuse_key("an ed25519 key has 32 bytes");
        }
    } else {
        const std::size_t exponent = bits_of(take_field(bytes));
        const std::size_t modulus = bits_of(take_field(bytes));
        if (exponent < 2 || modulus < least_rsa_bits || modulus > most_rsa_bits) {
            refuse_key(fmt::format("RSA of {} bits; {} to {} are taken", modulus, least_rsa_bits, most_rsa_bits));
        }
    }
    if (!bytes.empty()) {
        refuse_key("there is something behind it");
    }
}

} // namespace

SshPublicKey parse_ssh_public_key(std::string_view line)
{
    while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' ')) {
        line.remove_suffix(1);
    }
    if (line.size() > longest_line || line.find_first_of("\r\n") != line.npos) {
        refuse_key("it is not one line");
    }
    if (line.find("PRIVATE KEY") != line.npos) {
        refuse_key("it is a private key");
    }
    const auto space = line.find(' ');
    const std::string name(line.substr(0, space));
    if (space == line.npos || (name != "ssh-ed25519" && name != "ssh-rsa")) {
        refuse_key("it does not begin with ssh-ed25519 or ssh-rsa");
    }
    const std::string_view rest = line.substr(space + 1);
    const std::string encoded(rest.substr(0, rest.find(' ')));
    std::optional<std::string> bytes = signing::parse_base64(encoded);
    if (!bytes) {
        refuse_key("its second word is not base64");
    }
    require_key(name, *bytes);
    SshPublicKey key;
    key.type = name.substr(4);
    key.text = fmt::format("{} {}", name, signing::base64(*bytes));
    key.bytes = std::move(*bytes);
    key.comment = encoded.size() == rest.size() ? "" : printable(rest.substr(encoded.size() + 1), false);
    return key;
}

} // namespace kiln::launcher
