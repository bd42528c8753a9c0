// SPDX-License-Identifier: Apache-2.0
// References to parameters: `{{ NAME }}` becomes the parameter's value, `{{ "{{" }}` the two braces
// themselves. One pass: what a value holds is never looked at again.
#pragma once

#include "recipes/parameters.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::recipes
{

// How many bytes all references of a recipe and its components may become together.
inline constexpr std::size_t substitution_budget = std::size_t{16} << 20U;

// Both arguments must outlive it; the budget is shared by the documents of one recipe.
class Substitution
{
public:
    Substitution(const Parameters& parameters, std::size_t& budget) : parameters_(&parameters), budget_(&budget) {}

    [[nodiscard]] Checked<std::string> in_text(std::string_view text);

    // In every string below `root` but those in its [parameters]. A string that is nothing but a reference
    // to an integer or boolean gets that type.
    void in_document(Value& root, std::vector<Diagnostic>& diagnostics);

    [[nodiscard]] std::size_t& budget() noexcept { return *budget_; }

private:
    void in_value(Value& value, const std::string& path, std::vector<Diagnostic>& diagnostics);
    [[nodiscard]] Checked<std::string> resolve(std::string_view expression) const;

    const Parameters* parameters_;
    std::size_t* budget_;
};

} // namespace kiln::recipes
