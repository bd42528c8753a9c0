// SPDX-License-Identifier: Apache-2.0
#include "builder/host_apt.h"

#include "builder/apt_failure.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/process.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <pwd.h>
#include <regex>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize deb_cache_limit = gibibytes(2);
constexpr std::size_t most_roots = 8; // sets of indexes; one of Debian's main is 50 MB
// Where the cache is seen when it is bound there for _apt, who may not walk to Kiln's home.
constexpr std::string_view bound_cache = "/tmp";

bool is_root()
{
    return ::geteuid() == 0;
}

// To be written by the user that apt runs as.
void make_folder_for_apt(const fs::path& folder)
{
    make_directories(folder, 0755);
    if (is_root()) {
        const passwd* user = ::getpwnam("_apt");
        if (user == nullptr) {
            throw Error(ErrorKind::missing_tool, "there is no user _apt", "install apt: it makes this user");
        }
        if (::lchown(folder.c_str(), user->pw_uid, user->pw_gid) != 0) {
            throw system_error(errno, fmt::format("changing the owner of {}", folder.native()));
        }
    }
}

void write_readable(const fs::path& file, std::string_view content)
{
    write_file_durably(file, content, 0644);
}

// Sources with their keys: what the indexes depend on.
Digest digest_of_archives(const GuestApt& guest)
{
    Json keys = Json::object();
    for (const auto& [name, content] : guest.keyrings) {
        keys[name] = digest_of(content).hex();
    }
    for (const auto& [name, content] : guest.trusted) {
        keys["trusted/" + name] = digest_of(content).hex();
    }
    std::string sources;
    for (const AptSource& source : guest.sources) {
        sources += to_deb822(source);
    }
    return digest_of(canonical_json({{"sources", sources}, {"keys", keys}, {"architectures", guest.architectures}}));
}

// The host's way to the network is the one thing that its own set-up decides.
std::string proxies_of_host(const std::stop_token& stop)
{
    const ProcessResult result = run(
        {.argv = {"apt-config", "dump", "--format", "%F %v%n", "Acquire::http::Proxy", "Acquire::https::Proxy"}}, stop);
    static const std::regex line("(Acquire::https?::Proxy) ([A-Za-z0-9+.:/@_\\[\\]-]+)");
    std::string configuration;
    for (auto match = std::sregex_iterator(result.output.begin(), result.output.end(), line);
         match != std::sregex_iterator(); ++match) {
        configuration += fmt::format("{} \"{}\";\n", (*match)[1].str(), (*match)[2].str());
    }
    return configuration;
}

void write_files(const fs::path& folder, const std::map<std::string, std::string>& files)
{
    fs::remove_all(folder);
    make_directories(folder);
    for (const auto& [name, content] : files) {
        write_readable(folder / name, content);
    }
}

// The sources as apt in its root is to see them: their keys are files of that root.
std::string sources_in(const fs::path& seen_root, const GuestApt& guest)
{
    std::string text;
    for (AptSource source : guest.sources) {
        for (std::string& name : source.signed_by) {
            if (guest.keyrings.contains(name)) {
                name = seen_root / "etc/keyrings" / name;
            }
        }
        text += to_deb822(source);
    }
    return text;
}

void evict_roots(const fs::path& cache, const fs::path& in_use)
{
    std::vector<std::pair<fs::file_time_type, fs::path>> roots;
    for (const fs::directory_entry& entry : fs::directory_iterator(cache)) {
        if (entry.is_directory() && entry.path().filename().native().starts_with("root-") && entry.path() != in_use) {
            roots.emplace_back(entry.last_write_time(), entry.path());
        }
    }
    std::ranges::sort(roots, std::greater<>());
    for (std::size_t i = most_roots - 1; i < roots.size(); ++i) {
        fs::remove_all(roots[i].second);
    }
}

// One's own copy, so that what is checked stays what is used.
void copy_file_to(const fs::path& from, const fs::path& to)
{
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

} // namespace

std::string apt_configuration(const fs::path& root, const fs::path& archives,
                              const std::vector<std::string>& architectures, std::string_view host_proxies)
{
    std::string list;
    for (const std::string& architecture : architectures) {
        list += fmt::format(" \"{}\";", architecture);
    }
    return fmt::format(R"(Dir "{0}/";
Dir::Etc "{0}/etc/";
Dir::State "{0}/state/";
Dir::State::lists "{0}/lists/";
Dir::State::status "{0}/state/status";
Dir::Cache "{0}/cache/";
Dir::Cache::archives "{1}/";
Dir::Log "{0}/state/";
APT::Architecture "{2}";
APT::Architectures {{{3} }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Keep-Downloaded-Packages "true";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
{4})",
                       root.native(), archives.native(), architectures.at(0), list, host_proxies);
}

HostApt::HostApt(fs::path cache, const GuestApt& guest, fs::path log, std::stop_token stop)
    : cache_(std::move(cache)), log_(std::move(log)), stop_(std::move(stop))
{
    require_program("apt-get", "apt");
    make_directories(cache_, 0755);
    ::chmod(cache_.c_str(), 0755); // NOLINT: whatever the umask; the home around it is private
    lock_ = std::make_unique<FileLock>(cache_ / "lock", FileLock::Wait::block);
    root_ = cache_ / ("root-" + digest_of_archives(guest).hex().substr(0, 32));
    evict_roots(cache_, root_);
    const fs::path seen = is_root() ? fs::path(bound_cache) : cache_;
    const fs::path seen_root = seen / root_.filename();
    make_directories(root_);
    for (const char* folder : {"etc", "etc/apt.conf.d", "etc/sources.list.d", "state"}) {
        make_directories(root_ / folder);
    }
    write_files(root_ / "etc/keyrings", guest.keyrings);
    write_files(root_ / "etc/trusted.gpg.d", guest.trusted);
    write_files(root_ / "etc/preferences.d", guest.preferences);
    write_readable(root_ / "etc/sources.list.d/guest.sources", sources_in(seen_root, guest));
    write_readable(root_ / "state/status", guest.status);
    write_readable(root_ / "apt.conf",
                   apt_configuration(seen_root, seen / "archives", guest.architectures, proxies_of_host(stop_)));
    for (const char* folder : {"state", "lists", "lists/partial", "cache", "none", "none/partial", "temporary"}) {
        make_folder_for_apt(root_ / folder);
    }
    make_folder_for_apt(cache_ / "archives");
    make_folder_for_apt(cache_ / "archives/partial");
    fs::last_write_time(root_, fs::file_time_type::clock::now());
}

HostApt::~HostApt() = default;

std::string HostApt::apt_get(const std::vector<std::string>& arguments)
{
    const fs::path seen = is_root() ? fs::path(bound_cache) : cache_;
    const fs::path seen_root = seen / root_.filename();
    Command command{.environment = {{"APT_CONFIG", seen_root / "apt.conf"},
                                    {"TMPDIR", seen_root / "temporary"},
                                    {"LC_ALL", "C.UTF-8"},
                                    {"DEBIAN_FRONTEND", "noninteractive"}}};
    constexpr const char* script = R"(mount --bind "$1" /tmp; shift; cd /
exec setpriv --reuid=_apt --regid=nogroup --clear-groups --no-new-privs --pdeathsig=TERM -- "$@")";
    if (is_root()) {
        command.argv = {"unshare", "--mount", "sh", "-euc", script, "sh", cache_};
    }
    command.argv.insert(command.argv.end(), {"apt-get", "-q", "-y"});
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    const ProcessResult result = run(command, stop_);
    append_to_log(log_, fmt::format("$ apt-get {}\n{}{}", join(arguments, " "), result.output, result.errors));
    if (!result.succeeded()) {
        throw explain_apt_failure(
            result.output + result.errors,
            {.archive = "the image's set of archives",
             .mirror = "",
             .network_hint = "check the network and the image's /etc/apt/sources.list, then build again",
             .package_hint = "correct the `packages` step; `apt-cache search WORD` finds names"});
    }
    return result.output;
}

void HostApt::deliver(const std::vector<AptDownload>& downloads, const std::vector<std::string>& wanted,
                      const fs::path& files)
{
    const auto fits = [&](const AptDownload& download) {
        copy_file_to(cache_ / "archives" / download.file, files / download.file);
        return digest_of_file(files / download.file) == *download.package.sha256;
    };
    apt_get(wanted);
    for (const AptDownload& download : downloads) {
        // The server's time is on it; the cache goes by its use.
        fs::last_write_time(cache_ / "archives" / download.file, fs::file_time_type::clock::now());
        if (!fits(download)) { // another archive's file of that name and size, which is all that apt looks at
            fs::remove(cache_ / "archives" / download.file);
            apt_get(wanted);
            if (!fits(download)) {
                throw Error(ErrorKind::package,
                            fmt::format("{} is not the file that the signed index names", download.package.uri));
            }
        }
    }
}

AptTransaction HostApt::fetch(const std::vector<std::string>& wanted, const fs::path& files)
{
    apt_get({"--error-on=any", "update"});
    std::vector<std::string> install = {"install", "--"};
    install.insert(install.end(), wanted.begin(), wanted.end());
    const auto with = [&](std::vector<std::string> options) {
        if (std::ranges::any_of(wanted, [](const std::string& name) { return name.find('=') != name.npos; })) {
            options.emplace_back("--allow-downgrades"); // the recipe names the version
        }
        options.insert(options.end(), install.begin(), install.end());
        return options;
    };
    AptTransaction transaction;
    transaction.actions = parse_simulation(apt_get(with({"--simulate"})));
    // With an empty cache, since files that are there are not listed.
    const fs::path none = (is_root() ? fs::path(bound_cache) : cache_) / root_.filename() / "none";
    transaction.downloads = parse_print_uris(
        apt_get(with({"--print-uris", fmt::format("--option=Dir::Cache::archives={}/", none.native())})));
    if (!transaction.downloads.empty()) {
        deliver(transaction.downloads, with({"--download-only"}), files);
    }
    trim_folder(cache_ / "archives", deb_cache_limit);
    return transaction;
}

void append_to_log(const fs::path& log, std::string_view text)
{
    std::ofstream(log, std::ios::app) << printable(text) << (text.ends_with('\n') ? "" : "\n");
}

void trim_folder(const fs::path& folder, ByteSize most)
{
    struct Entry {
        fs::file_time_type used;
        std::uintmax_t size;
        fs::path path;
    };
    std::vector<Entry> entries;
    std::uintmax_t total = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        if (entry.is_regular_file() && !entry.is_symlink()) {
            entries.push_back({entry.last_write_time(), entry.file_size(), entry.path()});
            total += entries.back().size;
        }
    }
    std::ranges::sort(entries, {}, &Entry::used);
    for (const Entry& entry : entries) {
        if (total <= most.bytes()) {
            return;
        }
        fs::remove(entry.path);
        total -= entry.size;
    }
}

} // namespace kiln::builder
