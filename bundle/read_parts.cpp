// SPDX-License-Identifier: Apache-2.0
#include "bundle/read_parts.h"

#include "bundle/field_rules.h"

#include <algorithm>
#include <set>

namespace kiln::bundle
{
namespace
{

constexpr std::size_t longest_word = 64;
constexpr std::size_t longest_line = 256;
constexpr std::size_t longest_text = 4'096;
constexpr std::size_t longest_script = 65'536;
constexpr std::size_t most_accounts = 1'000;
constexpr std::int64_t largest_memory = std::int64_t{64} << 40U; // 64 TiB

void refuse_unless_null(ObjectReader& reader, std::initializer_list<std::string_view> keys)
{
    for (const std::string_view key : keys) {
        if (!reader.any(std::string(key)).is_null()) {
            reader.refuse(key, "is not null, though this kind of test has none");
        }
    }
}

std::uint16_t read_port(ObjectReader& reader)
{
    return static_cast<std::uint16_t>(reader.integer("port", 1, 65'535));
}

void read_run(ObjectReader& reader, Test& test)
{
    test.command = read_filled(reader, "command", longest_script, Lines::many);
    test.status = reader.integer("status", 0, 255);
    test.output = reader.string_or_null("output", longest_script, Lines::many);
    refuse_unless_null(reader, {"pattern", "port", "path", "body"});
}

void read_http(ObjectReader& reader, Test& test)
{
    test.port = read_port(reader);
    test.path = reader.string("path", longest_text);
    if (!is_url_path(test.path)) {
        reader.refuse("path", "is not the path of a URL");
    }
    test.status = reader.integer("status", 100, 599);
    test.body = reader.string_or_null("body", longest_text);
    refuse_unless_null(reader, {"command", "output", "pattern"});
}

} // namespace

std::string read_word_of(ObjectReader& reader, const std::string& key, std::initializer_list<std::string_view> words)
{
    std::string text = reader.string(key, 64);
    if (std::find(words.begin(), words.end(), text) == words.end()) {
        reader.refuse(key, "is not one of the known values");
    }
    return text;
}

std::string read_filled(ObjectReader& reader, const std::string& key, std::size_t longest, Lines lines)
{
    std::string text = reader.string(key, longest, lines);
    if (text.empty()) {
        reader.refuse(key, "is empty");
    }
    return text;
}

Test read_test(ObjectReader reader)
{
    Test test;
    test.name = read_filled(reader, "name", longest_line);
    test.kind = read_word_of(reader, "kind", {"run", "console", "port", "http"});
    test.derived = reader.boolean("derived");
    if (test.kind == "run") {
        read_run(reader, test);
    } else if (test.kind == "http") {
        read_http(reader, test);
    } else if (test.kind == "port") {
        test.port = read_port(reader);
        refuse_unless_null(reader, {"command", "status", "output", "pattern", "path", "body"});
    } else {
        test.pattern = read_filled(reader, "pattern", longest_text);
        refuse_unless_null(reader, {"command", "status", "output", "port", "path", "body"});
    }
    test.timeout_seconds = reader.integer("timeout_seconds", 1, 86'400);
    reader.finish();
    return test;
}

LaunchDefaults read_launch(ObjectReader reader, int schema)
{
    LaunchDefaults launch;
    launch.instance_type = reader.string_or_null("instance_type", longest_word);
    if (launch.instance_type && !is_type_name(*launch.instance_type)) {
        reader.refuse("instance_type", "is not the name of an instance type");
    }
    if (!reader.any("minimum_memory").is_null()) {
        launch.minimum_memory =
            ByteSize(static_cast<std::uint64_t>(reader.integer("minimum_memory", 1, largest_memory)));
    }
    std::set<std::string> seen;
    for (const Json& account : reader.array("accounts", most_accounts)) {
        if (!account.is_string() || !is_account(account.get_ref<const std::string&>())) {
            reader.refuse("accounts", "holds what is not an account of 12 digits");
        }
        if (!seen.insert(account.get<std::string>()).second) {
            reader.refuse("accounts", "names an account twice");
        }
        launch.accounts.push_back(account.get<std::string>());
    }
    launch.deprecated_on = reader.string_or_null("deprecated_on", longest_word);
    if (launch.deprecated_on && !is_date(*launch.deprecated_on)) {
        reader.refuse("deprecated_on", "is not a day like 2027-11-23");
    }
    launch.warm = schema >= 4 && reader.boolean("warm");
    reader.finish();
    return launch;
}

} // namespace kiln::bundle
