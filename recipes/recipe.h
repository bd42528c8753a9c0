// SPDX-License-Identifier: Apache-2.0
// A recipe: the wish for an AMI, parsed once from TOML into plain structs. docs/recipe.md is the
// reference of the language. Nothing here is trusted before `load_recipe` has returned.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/json.h"
#include "core/semantic_version.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kiln::recipes
{

// Where something stands in a recipe; line and column count from 1.
struct Position {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

// What the image is made from. Files were there and had their digest when the recipe was parsed; who
// uses one later checks the digest again.
struct BootstrapBase {
    std::string distribution{};                  // "debian"
    std::string suite{};                         // "bookworm"
    std::string mirror{};                        // empty: the distribution's own
    std::vector<std::string> components{"main"}; // of the archive
    std::string variant = "minbase";             // mmdebstrap's: "minbase", "standard", ...
};
struct AmiBase {
    std::string name{}; // of an image in the region
    VersionPattern version;
    std::string reference{}; // "debian-12@1.x.x", as written
};
struct DiskBase {
    std::filesystem::path file{};
    std::string format{}; // "qcow2", "raw", "vmdk": stated, never probed
    Digest sha256;
};
struct RootfsBase {
    std::filesystem::path file{}; // a tar, perhaps compressed, or the folder of an OCI image layout
    std::string format{};         // "tar", "oci"
    Digest sha256;                // of the tar; for a layout, of the image's manifest
};
using Base = std::variant<BootstrapBase, AmiBase, DiskBase, RootfsBase>;

struct Filesystem {
    std::string type{};                 // "ext4", "xfs", "btrfs", "vfat", "swap"
    std::string mount{};                // absolute; empty for swap
    std::vector<std::string> options{}; // for the guest's fstab; empty: its defaults
    std::string label{};                // may be empty
};

// A partition or logical volume, or all of a volume.
struct VolumePart {
    std::string name{};             // of the partition or logical volume; empty for a whole volume
    std::optional<ByteSize> size{}; // none: what is left; only the last part
    Filesystem filesystem{};
};

struct Volume {
    enum class Layout { whole, partitions, lvm }; // the root volume is always partitioned (GPT)
    std::string device{};                         // as the guest's kernel names it: "/dev/vda"
    ByteSize size{};                              // of the whole disk
    std::string type = "gp3";                     // EC2's volume type
    bool delete_on_termination = true;
    bool encrypted = false; // LUKS2 around all that is on it; never the root volume
    Layout layout = Layout::whole;
    std::string volume_group{}; // of LVM
    // Of the root volume the last one is mounted at "/". Empty for the root volume of a parent (an `ami` or
    // `disk` base), whose parts stay and whose size alone may grow; else at least one.
    std::vector<VolumePart> parts{};
};

struct Boot {
    std::string firmware = "bios";     // "bios", "uefi"
    std::string kernel_command_line{}; // in addition to Kiln's own
    bool serial_console = true;
};

struct FileStep {
    std::string path{}; // absolute, in the guest
    std::string content{};
    std::uint32_t mode = 0644;
    std::string owner = "root";
    std::string group = "root";
};

// A folder with all that is in it: regular files, folders, symbolic links.
struct TreeStep {
    struct Entry {
        std::string path{}; // below the tree's, "" for its root
        enum class Kind { file, folder, link } kind = Kind::file;
        std::filesystem::path source{}; // of a file, on the host
        std::string target{};           // of a link
        std::uint32_t mode = 0644;
        std::optional<Digest> digest{}; // of a file
        ByteSize size{};                // of a file
    };
    std::string path{};           // absolute, in the guest
    std::vector<Entry> entries{}; // sorted by path
    std::string owner = "root";
    std::string group = "root";
};

// What is in an archive (tar and its compressions, zip) goes below a folder. Unpacked safely: see builder.
struct ArchiveStep {
    std::string path{}; // absolute, in the guest
    std::filesystem::path file{};
    Digest sha256;
    int strip = 0; // leading components to take off
    std::string owner = "root";
    std::string group = "root";
};

struct RunStep {
    std::string script{}; // for /bin/sh -e, or what its "#!" line says
    std::map<std::string, std::string> environment{};
    std::string folder = "/";           // where it runs
    std::vector<std::string> secrets{}; // names; each a file below /run/secrets
    std::vector<int> statuses{0};       // that count as success
    bool network = false;
    std::chrono::seconds timeout{1800};
};

struct PackagesStep {
    std::vector<std::string> add{}; // "nginx", "nginx=1.22.1-9"
    std::vector<std::string> remove{};
    std::vector<std::string> hold{};
};

// Another archive, for the packages of later steps and for the running system.
struct AptSourceStep {
    std::string name{}; // of the files below /etc/apt
    std::string uri{};
    std::string suite{};
    std::vector<std::string> components{};
    std::string key{}; // an OpenPGP public key, ASCII-armoured or binary
};

struct UserStep {
    std::string name{};
    std::optional<std::uint32_t> uid{};
    std::string comment{};
    std::string home{}; // empty: /home/NAME
    std::vector<std::string> groups{};
    std::string shell = "/bin/bash";
    bool system = false;
    bool sudo = false;                          // without a password
    std::optional<std::string> password_hash{}; // crypt(5); none: locked
    std::vector<std::string> ssh_authorized_keys{};
};

struct GroupStep {
    std::string name{};
    std::optional<std::uint32_t> gid{};
    bool system = false;
    std::vector<std::string> members{};
};

struct ServiceStep {
    enum class State { enabled, disabled, masked };
    std::string name{}; // "ssh" or "ssh.service"
    State state = State::enabled;
    std::string drop_in{}; // what it adds to the unit; may be empty
};

struct HostnameStep {
    std::string name{};
};
struct TimezoneStep {
    std::string zone{}; // "Europe/Berlin"
};
struct LocaleStep {
    std::string locale{}; // "de_DE.UTF-8"
};
struct SysctlStep {
    std::map<std::string, std::string> values{};
};
struct KernelModulesStep {
    std::vector<std::string> load{};
    std::vector<std::string> block{};
};
struct CertificateAuthorityStep {
    std::string name{};
    std::string pem{};
};

struct Step {
    std::variant<FileStep, RunStep, UserStep, ServiceStep, TreeStep, ArchiveStep, PackagesStep, AptSourceStep,
                 GroupStep, HostnameStep, TimezoneStep, LocaleStep, SysctlStep, KernelModulesStep,
                 CertificateAuthorityStep>
        action;
    Position position{};
    std::filesystem::path file{}; // the recipe or component that it stands in
};

// "file /etc/motd", "run apt-get clean": one line for progress, logs and errors.
[[nodiscard]] std::string title_of(const Step& step);

struct RunTest {
    std::string command{}; // for /bin/sh -c in the guest
    int status = 0;
    std::optional<std::string> output{}; // what the trimmed standard output must be, exactly
    std::chrono::seconds timeout{60};
};

struct ConsoleTest {
    std::string pattern{}; // ECMAScript regular expression, searched in the console log
    std::chrono::seconds timeout{60};
};

// From the host, through the instance's own network.
struct PortTest {
    std::uint16_t port = 0; // TCP
    std::chrono::seconds timeout{60};
};
struct HttpTest {
    std::uint16_t port = 80;
    std::string path = "/"; // with its query
    int status = 200;
    std::optional<std::string> body{}; // ECMAScript regular expression, searched in the body
    std::chrono::seconds timeout{60};
};

struct Test {
    std::string name{}; // unique in the recipe
    std::variant<RunTest, ConsoleTest, PortTest, HttpTest> check{};
    bool derived = false; // from the rest of the recipe, not written there as a test
};

// A secret for the scripts that ask for it; its value is read when the build needs it, and kept nowhere.
struct Secret {
    std::string name{};
    std::filesystem::path file{};   // either this
    std::string environment_name{}; // or this
};

struct LaunchDefaults {
    bool is_public = false;
    std::vector<std::string> accounts{}; // that may launch it, besides the owner
    std::string instance_type{};         // empty: none
    ByteSize minimum_memory{};           // 0: none
    std::map<std::string, std::string> tags{};
    std::string deprecated_on{}; // "2027-11-23"; empty: never
    bool warm = false;           // its smoke test leaves a template of warm launches
};

// What the recipe is made of besides its own text, for the provenance.
struct Input {
    std::string name{}; // "components/web.toml", "files/motd"
    Digest digest;
};

struct Recipe {
    std::filesystem::path file{};
    std::string name{};
    SemanticVersion version;
    bool next_patch = false; // version was "1.4.x": publishing takes the next free patch, and version.patch is 0
    std::string description{};
    std::string architecture{}; // "x86_64"
    Base base;
    // The root volume first. With an `ami` or `disk` base they are in addition to the parent's, perhaps none,
    // in the order of their devices; "/dev/vda" then is the parent's root volume.
    std::vector<Volume> volumes{};
    Boot boot{};
    std::vector<std::string> packages{};
    std::vector<Step> steps{};       // with those of the components
    std::vector<Step> validations{}; // `run` steps on the finished system, whose changes are dropped
    std::vector<Test> tests{};       // with those of the components and the derived ones
    std::vector<Secret> secrets{};
    LaunchDefaults launch{};
    std::vector<std::string> keep{}; // patterns of paths that sealing leaves alone
    std::vector<Input> inputs{};
    // Of the resolved recipe with the contents of every file that it names; layout and comments of
    // the TOML don't count.
    std::optional<Digest> digest{};

    // Only with a `bootstrap` or `rootfs` base.
    [[nodiscard]] const Volume& root() const { return volumes.front(); }
    [[nodiscard]] const VolumePart& root_part() const { return volumes.front().parts.back(); }
    // As the recipe has it: "1.4.2" or "1.4.x".
    [[nodiscard]] std::string version_text() const;
};

struct Diagnostic {
    Position position;
    std::string path;    // "storage[0].size"
    std::string message; // "\"8 parsecs\" is not a size"
    std::string hint;    // "write it like \"2GiB\""; may be empty
    bool secret = false; // the line may hold one and is not shown
    std::string file{};  // the recipe or component; RecipeError fills it in
};

// All that is wrong with one recipe or component.
struct DocumentDiagnostics {
    std::string file;
    std::string text;
    std::vector<Diagnostic> diagnostics;
};

// All that is wrong with one recipe and its components. what() is the whole text for a person: document by
// document each diagnostic as `FILE:LINE:COLUMN: PATH: MESSAGE`, the line, a caret, the hint.
class RecipeError : public Error
{
public:
    RecipeError(std::string_view file, std::string_view text, std::vector<Diagnostic> diagnostics);
    // Documents of the same file are one; at least one diagnostic.
    explicit RecipeError(std::vector<DocumentDiagnostics> documents);
    [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const noexcept { return diagnostics_; }

private:
    struct Told {
        std::string text;
        std::vector<Diagnostic> diagnostics;
    };
    static Told tell(std::vector<DocumentDiagnostics> documents);
    explicit RecipeError(Told told);

    std::vector<Diagnostic> diagnostics_;
};

// A component's text: `find` looks for the highest version that fits.
struct ComponentDocument {
    std::string text;
    std::filesystem::path file;   // for messages
    std::filesystem::path folder; // that its `source` keys are looked up in; empty: it may have none
};
class ComponentFinder
{
public:
    virtual ~ComponentFinder() = default;
    [[nodiscard]] virtual std::optional<ComponentDocument> find(std::string_view name,
                                                                const VersionPattern& version) = 0;
};

struct LoadOptions {
    std::map<std::string, std::string> parameters{}; // of --set
    ComponentFinder* components = nullptr;           // after the files in `components/` beside the recipe
};

// Reads at most 1 MiB. Throws RecipeError, or Error{not_found, permission_denied, io} for the file, or
// Error{usage} for a parameter of --set that the recipe does not have.
[[nodiscard]] Recipe load_recipe(const std::filesystem::path& file, const LoadOptions& options = {});

// The same for text; files that the recipe names are looked up beside `file`.
[[nodiscard]] Recipe parse_recipe(std::string_view text, const std::filesystem::path& file,
                                  const LoadOptions& options = {});

// The resolved recipe as JSON, the input of `digest`; and its parts, for the plan.
[[nodiscard]] Json to_json(const Recipe& recipe);
[[nodiscard]] Json to_json(const Step& step);
[[nodiscard]] Json to_json(const Volume& volume);
[[nodiscard]] Json to_json(const Boot& boot);

} // namespace kiln::recipes
