// SPDX-License-Identifier: Apache-2.0
// GitHub's workflow commands: test results as annotations, and what keeps a guest from giving such commands.
// Source: GitHub Docs, "Workflow commands for GitHub Actions".
#pragma once

#include <string>
#include <string_view>

namespace kiln::launcher
{

enum class AnnotationLevel { error, warning };

// One line with its newline. Title and message may be anything: they are made printable and escaped.
[[nodiscard]] std::string github_annotation(AnnotationLevel level, std::string_view title, std::string_view message);

// Between these two lines GitHub takes nothing for a command. `token` is random, so that what is between can't end it.
[[nodiscard]] std::string github_stop_commands(std::string_view token);
[[nodiscard]] std::string github_resume_commands(std::string_view token);

} // namespace kiln::launcher
