// SPDX-License-Identifier: Apache-2.0
// Which of a region's images are wanted, as EC2's describe-images has it: filters that all have to hold, each with
// values of which one has to. What is found is what the catalogue's rows say, unverified, as in any list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

struct ImageFilter {
    std::string name; // one of filter_names(), or tag:KEY
    // `*` and `?` stand for any text and any character; after a backslash they stand for themselves. Case counts.
    std::vector<std::string> values;
};

// "NAME=VALUE[,VALUE...]"; what follows a backslash is meant as such, also a comma. Throws Error{usage}, with a near
// miss for an unknown name.
[[nodiscard]] ImageFilter parse_image_filter(std::string_view text);

// For people: "architecture, creation-date, ...".
[[nodiscard]] std::string filter_names();

struct ImageQuery {
    std::vector<ImageFilter> filters{};
    bool with_deregistered = false;
};

// A condition of SQL in parentheses, over the table images, and the texts for its question marks in order.
struct SqlCondition {
    std::string sql;
    std::vector<std::string> values;
};
[[nodiscard]] SqlCondition condition_of(const ImageQuery& query);

// Whether it asks for what is not in the table images but in facts.
[[nodiscard]] bool needs_facts(const ImageQuery& query);

} // namespace kiln::registry
