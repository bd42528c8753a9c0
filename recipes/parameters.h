// SPDX-License-Identifier: Apache-2.0
// The [parameters.NAME] tables of a recipe or component, and the values that they are given: by the
// default, by `--set`, or by the step that names the component.
#pragma once

#include "recipes/table_reader.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kiln::recipes
{

using ParameterValue = std::variant<std::string, std::int64_t, bool>;

struct Parameter {
    std::string type{};                    // "string", "integer", "boolean"
    std::vector<ParameterValue> allowed{}; // empty: all
    std::optional<ParameterValue> value{}; // the default until another is given
    bool faulty = false;                   // its default has a diagnostic
};
using Parameters = std::map<std::string, Parameter, std::less<>>;

// The value as text: "true", "8080".
[[nodiscard]] std::string to_string(const ParameterValue& value);

// Reads [parameters.*]; a table that is wrong leaves a diagnostic and no parameter.
[[nodiscard]] Parameters declare_parameters(TableReader& root);

// Takes `given` (of --set) into the parameters of the recipe. Wrong and missing values become diagnostics
// at the declarations. Throws Error{usage} for a name that the recipe does not have.
void set_parameters(Parameters& parameters, const std::map<std::string, std::string>& given, TableReader& root);

// Takes the table `parameters` of a step that names `component`. Wrong, unknown and missing values
// become diagnostics there; false when there is one.
[[nodiscard]] bool set_parameters(Parameters& parameters, TableReader& step, std::string_view component);

} // namespace kiln::recipes
