// SPDX-License-Identifier: Apache-2.0
// Each field's rule: what it takes, what it refuses, and the words and place of the refusal.
#include "recipe_fixture.h"

namespace kiln::recipes::test
{
namespace
{

// A recipe that has `value` (TOML) in one field.
using Place = std::string (*)(const std::string& value);

std::string in_name(const std::string& value)
{
    return changed("\"tiny\"", value);
}
std::string in_version(const std::string& value)
{
    return changed("\"1.0.0\"", value);
}
std::string in_packages(const std::string& value)
{
    return "packages = [" + value + "]\n" + good_recipe;
}
std::string in_suite(const std::string& value)
{
    return changed("\"bookworm\"", value);
}
std::string in_mirror(const std::string& value)
{
    return changed("suite", "mirror = " + value + "\nsuite");
}
std::string in_device(const std::string& value)
{
    return changed("size", "device = " + value + "\nsize");
}
std::string in_size(const std::string& value)
{
    return changed("\"1GiB\"", value);
}
std::string in_file(const std::string& value)
{
    return extended("[[step]]\ncontent = \"\"\nfile = " + value + "\n");
}
std::string in_mode(const std::string& value)
{
    return extended("[[step]]\nfile = \"/a\"\ncontent = \"\"\nmode = " + value + "\n");
}
std::string in_owner(const std::string& value)
{
    return extended("[[step]]\nfile = \"/a\"\ncontent = \"\"\nowner = " + value + "\n");
}
std::string in_group(const std::string& value)
{
    return extended("[[step]]\nfile = \"/a\"\ncontent = \"\"\ngroup = " + value + "\n");
}
std::string in_run(const std::string& value)
{
    return extended("[[step]]\nrun = " + value + "\n");
}
std::string in_timeout(const std::string& value)
{
    return extended("[[step]]\nrun = \"true\"\ntimeout = " + value + "\n");
}
std::string in_user(const std::string& value)
{
    return extended("[[step]]\nuser = " + value + "\n");
}
std::string in_groups(const std::string& value)
{
    return extended("[[step]]\nuser = \"u\"\ngroups = [" + value + "]\n");
}
std::string in_shell(const std::string& value)
{
    return extended("[[step]]\nuser = \"u\"\nshell = " + value + "\n");
}
std::string in_keys(const std::string& value)
{
    return extended("[[step]]\nuser = \"u\"\nssh_authorized_keys = [" + value + "]\n");
}
std::string in_service(const std::string& value)
{
    return extended("[[step]]\nservice = " + value + "\n");
}
std::string in_test_name(const std::string& value)
{
    return extended("[[test]]\nrun = \"true\"\nname = " + value + "\n");
}
std::string in_status(const std::string& value)
{
    return extended("[[test]]\nrun = \"true\"\nstatus = " + value + "\n");
}
std::string in_output(const std::string& value)
{
    return extended("[[test]]\nrun = \"true\"\noutput = " + value + "\n");
}
std::string in_console(const std::string& value)
{
    return extended("[[test]]\nconsole = " + value + "\n");
}

std::string of_length(std::size_t length, char c = 'a')
{
    return '"' + std::string(length, c) + '"';
}

struct Case {
    const char* path;
    Place place;
    std::vector<std::string> good;
    std::vector<std::string> bad;
};

const std::vector<Case>& cases()
{
    static const std::vector<Case> all = {
        {"name",
         in_name,
         {"\"abc\"", "\"debian-12\"", "\"a.b_c-d\"", of_length(128)},
         {"\"\"", "\"ab\"", of_length(129), "\"../../x\"", "\"a..b\"", "\"-abc\"", "\"abc-\"", "\".abc\"", "\"Abc\"",
          "\"a b c\"", "\"a/b\"", "\"d\u0435bian\"", "\"naïve\"", "\"abc@1.0.0\"", "\"ami-0123456789abcdef0\""}},
        {"version",
         in_version,
         {"\"0.0.0\"", "\"1.22.333\"", "\"1.4.x\""},
         {"\"\"", "\"1\"", "\"1.0\"", "\"1.x.x\"", "\"1.0.0-rc1\"", "\"01.0.0\"", "\"-1.0.0\"", "\"1.0.99999999999\"",
          "\"1.0.0 \"", "\"１.0.0\""}},
        {"packages[0]",
         in_packages,
         {"\"g++\"", "\"libc6\"", "\"0ad\"", "\"a.b-c\""},
         {"\"\"", "\"a\"", "\"-oAPT::Foo=1\"", "\"+a\"", "\".a\"", "\"a b\"", "\"a,b\"", "\"a=1.0\"", "\"A1\"",
          "\"a/b\"", "\"a;b\"", of_length(129)}},
        {"base.suite",
         in_suite,
         {"\"sid\""},
         {"\"\"", "\"book worm\"", "\"--help\"", "\"Bookworm\"", "\"bookworm/updates\"", "\"..\""}},
        {"base.mirror",
         in_mirror,
         {"\"http://a\"", "\"https://a.org/debian\"", "\"file:///srv/debian\"", "\"copy:///srv/debian\""},
         {"\"\"", "\"a.org\"", "\"ftp://a.org\"", "\"http://\"", "\"https:///x\"", "\"http://-a\"", "\"file://host/x\"",
          "\"HTTP://a\"", "\"http://a b\"", "\"-o\"", "\"deb http://a.org sid main\"", "\"http://a\u0430\"",
          "\"/srv/debian\""}},
        {"storage[0].device",
         in_device,
         {"\"/dev/vda\""},
         {"\"/dev/vdb\"", "\"/dev/sda\"", "\"vda\"", "\"\"", "\"/dev/../etc/passwd\""}},
        {"storage[0].size",
         in_size,
         {"\"512MiB\"", "\"64TiB\"", "\"513 MiB\""},
         {"\"\"", "\"2\"", "\"2GB\"", "\"-2GiB\"", "\"511MiB\"", "\"0B\"", "\"65TiB\"", "\"9999999999999TiB\"",
          "\"1073741825B\"", "\"1.5GiB\"", "\"0x2GiB\""}},
        {"step[0].file",
         in_file,
         {"\"/a\"", "\"/etc/ssh/sshd_config.d/a b.conf\"", "\"/-a\"", "\"/..a\"", "\"/" + std::string(255, 'a') + "\""},
         {"\"\"", "\"/\"", "\"etc/motd\"", "\"../x\"", "\"/../x\"", "\"/etc/../x\"", "\"/etc/..\"", "\"/etc/./x\"",
          "\"/etc//x\"", "\"//etc\"", "\"/etc/\"", "\"-x\"", "\"/etc/m\u043etd\"", "\"/" + std::string(256, 'a') + "\"",
          "\"" +
              [] {
                  std::string s;
                  while (s.size() < 4096) {
                      s += "/aaaaaaa";
                  }
                  return s;
              }() +
              "\""}},
        {"step[0].mode",
         in_mode,
         {"\"644\"", "\"0644\"", "\"7777\"", "\"07777\"", "\"000\""},
         {"\"\"", "\"0\"", "\"0o644\"", "\"rw-r--r--\"", "\"888\"", "\"10000\"", "\"17777\"", "\"-644\"", "\"+644\"",
          "\" 644\"", "\"000644\"", "\"0648\""}},
        {"step[0].owner",
         in_owner,
         {"\"root\"", "\"_apt\"", "\"Debian-exim\""},
         {"\"\"", "\"-R\"", "\"root:root\"", "\"0\"", "\"a b\"", "\"ro\u043et\"", of_length(33)}},
        {"step[0].group", in_group, {"\"www-data\""}, {"\"\"", "\"-R\"", "\"a:b\"", "\"a.b\""}},
        {"step[0].run", in_run, {"\"true\"", "\"- x\""}, {"\"\"", "\" \\n\\t\""}},
        {"step[0].timeout",
         in_timeout,
         {"\"1s\"", "\"90s\"", "\"30min\"", "\"24h\"", "\"86400s\""},
         {"\"\"", "\"0s\"", "\"-1s\"", "\"+1s\"", "\"1\"", "\"s\"", "\"1 s\"", "\"1m\"", "\"25h\"", "\"86401s\"",
          "\"1.5h\"", "\"99999999999999999999h\"", "\"9223372036854775807h\"", "\"1h30min\""}},
        {"step[0].user",
         in_user,
         {"\"a\"", "\"_x\"", "\"admin-2\"", of_length(32)},
         {"\"\"", "\"Admin\"", "\"-r\"", "\"1a\"", "\"a.b\"", "\"../x\"", "\"a b\"", "\"a:b\"", "\"\u0430dmin\"",
          of_length(33)}},
        {"step[0].groups[0]", in_groups, {"\"sudo\""}, {"\"\"", "\"a,b\"", "\"-G\""}},
        {"step[0].shell", in_shell, {"\"/bin/sh\""}, {"\"\"", "\"bash\"", "\"/bin/../sh\"", "\"-c\""}},
        {"step[0].ssh_authorized_keys[0]",
         in_keys,
         {"\"ssh-ed25519 AAAA\"", "'no-pty,command=\"x\" ssh-ed25519 AAAA me'"},
         {"\"\"", "\"ssh-ed25519\"", "\"# comment here\"", "\"-----BEGIN OPENSSH PRIVATE KEY-----\"",
          "\"a " + std::string(16384, 'a') + "\""}},
        {"step[0].service",
         in_service,
         {"\"ssh\"", "\"getty@tty1.service\"", "\"a:b_c-d.timer\""},
         {"\"\"", "\"--root=/\"", "\"-a\"", "\"../x\"", "\".hidden\"", "\"a/b\"", "\"a b\"", "\"a*\"", of_length(256)}},
        {"test[0].name",
         in_test_name,
         {"\"boots\"", "\"größer als 1\"", of_length(128)},
         {"\"\"", "\" a\"", "\"a \"", of_length(129)}},
        {"test[0].status", in_status, {"0", "255"}, {"-1", "256", "9223372036854775807"}},
        {"test[0].output", in_output, {"\"\"", "\"a b\"", "\"a\\nb\""}, {"\" a\"", "\"a\\n\"", "\"\\ta\""}},
        {"test[0].console",
         in_console,
         {"\"login:\"", "'^Debian \\w+ \\d{2}$'", of_length(1024)},
         {"\"\"", "\"(\"", "\"[\"", "\"a{2\"", "'\\'", "\"*\"", of_length(1025), "'((a{999}){999}){999}'",
          '"' + std::string(512, '(') + '"'}},
    };
    return all;
}

TEST(FieldRules, TakeWhatIsGood)
{
    for (const Case& field : cases()) {
        for (const std::string& value : field.good) {
            EXPECT_EQ(what_of(field.place(value)), "no error") << field.path << " = " << value;
        }
    }
}

TEST(FieldRules, RefuseWhatIsBadAtItsPlace)
{
    for (const Case& field : cases()) {
        for (const std::string& value : field.bad) {
            const auto diagnostics = diagnostics_of(field.place(value));
            ASSERT_EQ(diagnostics.size(), 1U) << field.path << " = " << value;
            EXPECT_EQ(diagnostics[0].path, field.path) << value;
            EXPECT_FALSE(diagnostics[0].hint.empty()) << field.path << ": " << diagnostics[0].message;
            EXPECT_LT(diagnostics[0].message.size(), 400U) << diagnostics[0].message;
            // At the value: the column after "key = " or "key = [".
            const std::string line = field.place(value);
            std::size_t start = 0;
            for (std::uint32_t i = 1; i < diagnostics[0].position.line; ++i) {
                start = line.find('\n', start) + 1;
            }
            EXPECT_EQ(line.compare(start + diagnostics[0].position.column - 1, value.size(), value), 0)
                << field.path << " = " << value;
        }
    }
}

TEST(FieldRules, SayWhatIsWrong)
{
    const auto message = [](const std::string& text) { return summary_of(text); };
    EXPECT_EQ(message(in_size("\"1MiB\"")),
              "10:8 storage[0].size: \"1MiB\" is too small | a root volume has at least 512 MiB and at most 64 TiB\n");
    EXPECT_EQ(message(in_size("\"65TiB\"")),
              "10:8 storage[0].size: \"65TiB\" is too large | a root volume has at least 512 MiB and at most 64 TiB\n");
    EXPECT_EQ(message(in_size("\"1073741825B\"")),
              "10:8 storage[0].size: \"1073741825B\" is not a whole number of MiB | write it like \"2GiB\"\n");
    EXPECT_EQ(message(changed("\"ext4\"", "\"reiserfs\"")),
              "11:14 storage[0].filesystem: \"reiserfs\" is not supported | supported: \"ext4\", \"xfs\", \"btrfs\", "
              "\"vfat\", \"swap\"\n");
    EXPECT_EQ(message(changed("\"ext4\"", "\"ext3\"")),
              "11:14 storage[0].filesystem: \"ext3\" is not supported | did you mean \"ext4\"?\n");
    EXPECT_EQ(message(in_mode("644")),
              "15:8 step[0].mode: must be a string, not an integer | write it like \"0644\"\n");
    EXPECT_EQ(message(in_packages("\"less\", \"less\"")),
              "1:21 packages[1]: \"less\" is in the list already | remove one of the two\n");
    EXPECT_EQ(message(in_console("\"login: (\"")).substr(0, 63),
              "13:11 test[0].console: \"login: (\" is not a regular expression: ");
    EXPECT_EQ(message(in_status("256")), "14:10 test[0].status: 256 is out of range | 0 to 255\n");
}

TEST(Steps, HaveExactlyOneKind)
{
    const std::string no_kind = "has none of the keys file, tree, archive, run, script, packages, apt_source, user, "
                                "service, hostname, timezone, "
                                "locale, sysctl, kernel_modules, certificate_authority, component, group, remove, hold";
    EXPECT_EQ(summary_of(extended("[[step]]\nrun = \"a\"\nfile = \"/a\"\n")),
              "12:1 step[0]: is file and run at once | give each its own [[step]], in the order that they are meant to "
              "happen\n");
    EXPECT_EQ(summary_of(extended("[[step]]\n")),
              "12:1 step[0]: " + no_kind + " | exactly one of them says what the step does\n");
    EXPECT_EQ(summary_of(extended("[[step]]\nfille = \"/a\"\ncontent = \"\"\n")),
              "12:1 step[0]: " + no_kind + " | did you mean \"file\" by \"fille\"?\n");
    EXPECT_EQ(summary_of(extended("[[test]]\nname = \"a\"\n")),
              "12:1 test[0]: has none of the keys run, console, http, file, service, unit, port | exactly one of them "
              "says what the test does\n");
    EXPECT_EQ(
        summary_of(extended("[[test]]\nrun = \"a\"\nconsole = \"b\"\n")),
        "12:1 test[0]: is run and console at once | give each its own [[test]], in the order that they are meant to "
        "happen\n");
}

TEST(Steps, AFileHasContentOrSource)
{
    EXPECT_EQ(summary_of(extended("[[step]]\nfile = \"/a\"\n")),
              "12:1 step[0]: has neither content nor source | exactly one of them says what is in the file\n");
    EXPECT_EQ(summary_of(extended("[[step]]\nfile = \"/a\"\ncontent = \"a\"\nsource = \"b\"\n")),
              "12:1 step[0]: has both content and source | exactly one of them says what is in the file\n");
}

TEST(Steps, MakeAUserOnce)
{
    EXPECT_EQ(summary_of(extended("[[step]]\nuser = \"a\"\n[[step]]\nuser = \"a\"\n")),
              "15:8 step[1].user: \"a\" is made by an earlier step | put all of it in one step\n");
}

TEST(Tests, HaveUniqueNames)
{
    EXPECT_EQ(summary_of(extended("[[test]]\nrun = \"a\"\nname = \"x\"\n[[test]]\nrun = \"b\"\nname = \"x\"\n")),
              "17:8 test[1].name: an earlier test has the name \"x\" | give each test a `name` of its own\n");
    EXPECT_EQ(summary_of(extended("[[test]]\nrun = \"a\"\n[[test]]\nrun = \"a\"\n")),
              "14:1 test[1]: an earlier test has the name \"run a\" | give each test a `name` of its own\n");
}

TEST(Tests, FitIntoTheManifest)
{
    std::string many;
    for (int i = 0; i < 1000; ++i) {
        many += "[[test]]\nrun = \"true " + std::to_string(i) + "\"\n";
    }
    EXPECT_EQ(what_of(extended(many)), "no error");
    EXPECT_EQ(summary_of(extended(many + "[[test]]\nrun = \"true\"\n")),
              "12:1 test: there are more than 1000 tests | put several checks into one `run`\n");
    const auto command = [](std::size_t length) { return extended("[[test]]\nrun = " + of_length(length) + "\n"); };
    EXPECT_EQ(what_of(command(65536)), "no error");
    EXPECT_EQ(summary_of(command(65537)),
              "13:7 test[0].run: is longer than 65536 bytes | install a script and run it\n");
    EXPECT_EQ(what_of(in_output(of_length(65536))), "no error");
    EXPECT_EQ(summary_of(in_output(of_length(65537))),
              "14:10 test[0].output: is longer than 65536 bytes | compare in the command\n");
}

TEST(UnknownKeys, HaveANearMissOrAList)
{
    EXPECT_EQ(summary_of("versoin = \"1.0.0\"\n" + good_recipe),
              "1:1 versoin: unknown key | did you mean \"version\"?\n");
    EXPECT_EQ(summary_of(extended("iops = 3000\n")),
              "12:1 storage[0].iops: unknown key | known here: device, size, type, delete_on_termination, encrypted, "
              "filesystem, partition, mount, options, label\n");
    EXPECT_EQ(summary_of(extended("  filesytem = \"ext4\"\n")),
              "12:3 storage[0].filesytem: unknown key | did you mean \"filesystem\"?\n");
    EXPECT_EQ(summary_of(extended("[[step]]\nuser = \"a\"\nsudoo = true\n")),
              "14:1 step[0].sudoo: unknown key | did you mean \"sudo\"?\n");
    EXPECT_EQ(summary_of(extended("[[steps]]\nuser = \"a\"\n")), "12:3 steps: unknown key | did you mean \"step\"?\n");
    EXPECT_EQ(summary_of(extended("[\"\\u001b[2J\"]\n")).substr(0, 28), "12:2 \\x1b[2J: unknown key | ");
}

} // namespace
} // namespace kiln::recipes::test
