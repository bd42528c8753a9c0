// SPDX-License-Identifier: Apache-2.0
#include "bundle/index_scan.h"

#include "core/error.h"

#include <algorithm>

namespace kiln::bundle
{
namespace
{

// Goes over JSON value by value. It knows where a value ends, not whether it is one.
class Scanner
{
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    // The next character that is no white space, which stays; NUL at the end.
    char peek()
    {
        position_ = std::min(text_.find_first_not_of(" \t\r\n", position_), text_.size());
        return position_ < text_.size() ? text_[position_] : '\0';
    }
    bool take(char wanted)
    {
        const bool there = peek() == wanted;
        position_ += there ? 1 : 0;
        return there;
    }
    std::string_view value()
    {
        const char first = peek();
        const std::size_t begin = position_;
        if (first == '"') {
            skip_string();
        } else if (first == '{' || first == '[') {
            skip_nested();
        } else {
            position_ = std::min(text_.find_first_of(",]} \t\r\n", position_), text_.size());
        }
        if (position_ == begin) {
            refuse();
        }
        return text_.substr(begin, position_ - begin);
    }

    [[noreturn]] static void refuse()
    {
        throw Error(ErrorKind::io, "index.json is not an OCI image index", "restore index.json from a backup");
    }

private:
    void skip_string()
    {
        for (++position_;; position_ += 2) {
            position_ = text_.find_first_of("\"\\", position_);
            if (position_ == std::string_view::npos) {
                refuse();
            }
            if (text_[position_] == '"') {
                ++position_;
                return;
            }
        }
    }
    void skip_nested()
    {
        std::size_t depth = 0;
        do {
            position_ = text_.find_first_of("\"{}[]", position_);
            if (position_ == std::string_view::npos) {
                refuse();
            }
            const char here = text_[position_];
            if (here == '"') {
                skip_string();
                continue;
            }
            depth += here == '{' || here == '[' ? 1 : 0;
            depth -= here == '}' || here == ']' ? 1 : 0;
            ++position_;
        } while (depth > 0);
    }

    std::string_view text_;
    std::size_t position_ = 0;
};

void each_element(Scanner& scanner, const std::function<void(std::string_view)>& visit)
{
    if (!scanner.take('[')) {
        Scanner::refuse();
    }
    if (scanner.take(']')) {
        return;
    }
    do {
        visit(scanner.value());
    } while (scanner.take(','));
    if (!scanner.take(']')) {
        Scanner::refuse();
    }
}

} // namespace

void each_index_entry(std::string_view index, const std::function<void(std::string_view entry)>& visit)
{
    Scanner scanner(index);
    bool found = false;
    if (!scanner.take('{')) {
        Scanner::refuse();
    }
    while (scanner.peek() == '"') {
        const std::string_view key = scanner.value();
        if (!scanner.take(':')) {
            Scanner::refuse();
        }
        if (key == R"("manifests")") {
            each_element(scanner, visit);
            found = true;
        } else {
            static_cast<void>(scanner.value());
        }
        if (!scanner.take(',')) {
            break;
        }
    }
    if (!found || !scanner.take('}') || scanner.peek() != '\0') {
        Scanner::refuse();
    }
}

} // namespace kiln::bundle
