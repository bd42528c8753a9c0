// SPDX-License-Identifier: Apache-2.0
#include "launcher/passed_files.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json_socket.h"
#include "core/text.h"
#include "launcher/block_node.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>

namespace kiln::launcher
{
namespace
{

// `key`=VALUE among options that are separated by commas, where a comma of a value's own is doubled.
struct Option {
    std::size_t begin = 0; // of the whole
    std::size_t end = 0;
    std::string value;
};

std::optional<Option> find_option(std::string_view options, std::string_view key)
{
    for (std::size_t begin = 0; begin < options.size();) {
        std::string text;
        std::size_t at = begin;
        for (; at < options.size(); ++at) {
            if (options[at] == ',' && !options.substr(at + 1).starts_with(',')) {
                break;
            }
            at += options[at] == ',' ? 1 : 0;
            text += options[at];
        }
        if (text.starts_with(key) && text.substr(key.size()).starts_with('=')) {
            return Option{begin, at, text.substr(key.size() + 1)};
        }
        begin = at + 1;
    }
    return std::nullopt;
}

class Passing
{
public:
    explicit Passing(const FileDescriptor& memory) : memory_(memory) {}

    void pass(const std::string& option, std::string value)
    {
        if (option == "-pidfile") {
            result_.pid_file = value;
            return;
        }
        if (option == "-blockdev") {
            value = block_node(Json::parse(value));
        } else if (option == "-chardev") {
            value = character_device(value);
        } else if (option == "-fw_cfg") {
            value = firmware_content(value);
        } else if (option == "-netdev") {
            value = network(Json::parse(value));
        } else if (option == "-object") {
            value = object(value);
        }
        result_.argv.push_back(option);
        result_.argv.push_back(std::move(value));
    }

    PassedArgv result_;

private:
    int keep(FileDescriptor file)
    {
        // Not one of the standard streams, in whose place QEMU has others.
        result_.files.emplace_back(file.get() > 2 ? file.release() : ::fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
        return result_.files.back().get();
    }

    void add_to_set(int set, FileDescriptor file, std::string_view opaque)
    {
        result_.argv.insert(result_.argv.end(),
                            {"-add-fd", fmt::format("fd={},set={},opaque={}", keep(std::move(file)), set, opaque)});
    }

    std::string block_node(const Json& node)
    {
        std::vector<FileDescriptor> files = open_file_of(node);
        if (files.empty()) {
            return node.dump();
        }
        ++sets_;
        for (FileDescriptor& file : files) {
            add_to_set(sets_, std::move(file), node.at("node-name").get<std::string>());
        }
        return with_file_set(node, sets_).dump();
    }

    std::string character_device(std::string value)
    {
        const auto path = find_option(value, "path");
        if (path && value.starts_with("socket,")) {
            value.replace(path->begin, path->end - path->begin, fmt::format("fd={}", keep(listen_on(path->value))));
        }
        if (const auto log = find_option(value, "logfile")) {
            FileDescriptor file(::open(log->value.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
            if (!file) {
                throw system_error(errno, fmt::format("opening {}", log->value));
            }
            add_to_set(++sets_, std::move(file), "log");
            value.replace(log->begin, log->end - log->begin, fmt::format("logfile=/dev/fdset/{}", sets_));
        }
        return value;
    }

    // What the guest gets of it is public keys; anybody may see them on QEMU's command line.
    static std::string firmware_content(std::string value)
    {
        const auto path = find_option(value, "file");
        return path ? value.replace(path->begin, path->end - path->begin,
                                    "string=" + option_value(read_file(path->value, ByteSize(65536))))
                    : value;
    }

    std::string network(Json device)
    {
        for (const char* side : {"local", "remote"}) {
            const auto address = device.find(side);
            if (address != device.end() && address->value("type", "") == "unix") {
                const std::filesystem::path path = address->at("path").get<std::string>();
                result_.folder = path.parent_path();
                address->at("path") = path.filename().native();
            }
        }
        return device.dump();
    }

    // A copy of the descriptor is a name below /proc of what QEMU opens, as it wants to write to it (share=off: to its
    // own pages). The file lets everybody, so it is one that has no other name, and sealed where it is not to change.
    std::string object(std::string value)
    {
        const auto path = find_option(value, "mem-path");
        if (!path) {
            return value;
        }
        FileDescriptor copy(::fcntl(memory_.get(), F_DUPFD_CLOEXEC, 3));
        if (!copy) {
            throw system_error(errno, "passing a guest's memory");
        }
        return value.replace(path->begin, path->end - path->begin,
                             fmt::format("mem-path=/proc/self/fd/{}", keep(std::move(copy))));
    }

    const FileDescriptor& memory_;
    int sets_ = 0;
};

} // namespace

PassedArgv pass_files(const std::vector<std::string>& argv, const FileDescriptor& memory)
{
    Passing passing(memory);
    passing.result_.argv.push_back(argv.at(0));
    for (std::size_t i = 1; i < argv.size();) {
        if (i + 1 < argv.size() && !argv[i + 1].starts_with('-')) {
            passing.pass(argv[i], argv[i + 1]);
            i += 2;
        } else { // an option without a value
            passing.result_.argv.push_back(argv[i++]);
        }
    }
    return std::move(passing.result_);
}

} // namespace kiln::launcher
