// SPDX-License-Identifier: Apache-2.0
// Lock file, SPDX and provenance, against golden files and the required fields of their specifications.
#include "builder/lock_file.h"
#include "builder/provenance.h"
#include "builder/spdx.h"
#include "tests/support/golden.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>

namespace kiln::builder
{
namespace
{

InstalledPackage nginx()
{
    return {"nginx", "1:1.22.1-9+deb12u1", "amd64", digest_of("nginx"), "http://deb.debian.org/nginx.deb"};
}

Json sbom()
{
    const Software software{.os = {"debian", "12", "Debian GNU/Linux 12 (bookworm)"},
                            .packages = {{"g++", "4:12.2.0-3", "amd64"}, {"nginx", "1:1.22.1-9+deb12u1", "amd64"}}};
    return spdx_document({"web", "1.2.0", "sha256-abc", "2026-11-25T19:00:00Z", "0.1.0"}, software, {nginx()});
}

TEST(Spdx, HasItsGoldenForm)
{
    test::expect_golden("builder/sbom.spdx.json", sbom().dump(2) + "\n");
}

TEST(Spdx, HasWhatSpdx23Requires)
{
    const Json document = sbom();
    EXPECT_EQ("SPDX-2.3", document.at("spdxVersion"));
    EXPECT_EQ("CC0-1.0", document.at("dataLicense"));
    EXPECT_EQ("SPDXRef-DOCUMENT", document.at("SPDXID"));
    EXPECT_EQ(std::string::npos, document.at("documentNamespace").get<std::string>().find('#'));
    EXPECT_FALSE(document.at("creationInfo").at("creators").empty());
    std::set<std::string> ids = {"SPDXRef-DOCUMENT"};
    for (const Json& package : document.at("packages")) {
        EXPECT_TRUE(std::regex_match(package.at("SPDXID").get<std::string>(), std::regex("SPDXRef-[A-Za-z0-9.-]+")));
        EXPECT_TRUE(ids.insert(package.at("SPDXID")).second);
        EXPECT_TRUE(package.contains("name") && package.contains("downloadLocation"));
    }
    for (const Json& relationship : document.at("relationships")) {
        EXPECT_TRUE(ids.contains(relationship.at("spdxElementId")));
        EXPECT_TRUE(ids.contains(relationship.at("relatedSpdxElement")));
    }
}

TEST(Provenance, HasItsGoldenForm)
{
    recipes::Recipe recipe;
    recipe.name = "web";
    recipe.version = *parse_semantic_version("1.2.0");
    recipe.architecture = "x86_64";
    recipe.digest = digest_of("recipe");
    recipe.base = recipes::AmiBase{.name = "debian-12", .version = {}, .reference = "debian-12@1.x.x"};
    recipe.inputs = {{"files/motd", digest_of("motd")}};
    const ProvenanceFacts facts{.parent = digest_of("parent"),
                                .parameters = {{"port", "80"}},
                                .packages = {nginx()},
                                .tools = {{"qemu-img", "7.2.22"}},
                                .kiln_version = "0.1.0",
                                .account = "123456789012",
                                .invocation = "3f1c",
                                .started = "2026-11-25T19:00:00Z",
                                .finished = "2026-11-25T19:01:00Z"};
    test::expect_golden("builder/provenance.json", provenance_predicate(recipe, facts).dump(2) + "\n");
    EXPECT_EQ("7.2.22", version_in("qemu-img version 7.2.22 (Debian 1:7.2+dfsg-7)\n"));
}

LockFile locked()
{
    LockFile lock;
    lock.inputs.insert_or_assign("files/motd", digest_of("motd"));
    lock.layers.push_back({"step 1", {nginx()}});
    return lock;
}

TEST(LockFile, IsReadBackAsItWasWritten)
{
    test::expect_golden("builder/recipe.lock.json", to_text(locked()));
    EXPECT_TRUE(differences(locked(), parse_lock_file(to_text(locked()), "a.lock.json")).empty());
}

TEST(LockFile, NamesEveryDifference)
{
    LockFile built = locked();
    built.layers[0].packages[0].sha256 = digest_of("other");
    built.layers[0].packages.push_back({"curl", "7", "amd64", std::nullopt, ""});
    built.layers.push_back({"step 2", {nginx()}});
    built.inputs.insert_or_assign("files/motd", digest_of("changed"));
    EXPECT_THAT(differences(locked(), built),
                testing::ElementsAre(
                    "files/motd changed", "step 1: nginx 1:1.22.1-9+deb12u1 has another digest than the locked one",
                    "step 1: curl 7 is installed and not locked", "step 2 installs packages and is not locked"));
    built = {.inputs = {}, .layers = {{"bootstrap", {nginx()}}}};
    EXPECT_THAT(differences(locked(), built),
                testing::ElementsAre("files/motd is locked, the recipe does not use it",
                                     "step 1 is locked, the recipe installs no packages there",
                                     "bootstrap installs packages and is not locked"));
}

TEST(LockFile, ADifferenceIsAnErrorThatSaysHowToGoOn)
{
    LockFile built = locked();
    built.layers[0].packages[0].version = "1:1.22.1-10";
    try {
        require_same(locked(), built);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(ErrorKind::package, error.kind());
        EXPECT_STREQ("the build is not what its lock file says:\n"
                     "  step 1: nginx 1:1.22.1-9+deb12u1 is locked, the build has 1:1.22.1-10",
                     error.what());
        EXPECT_THAT(error.hint(), testing::HasSubstr("`kiln build RECIPE --lock`"));
    }
    EXPECT_NO_THROW(require_same(locked(), locked()));
}

TEST(LockFile, PinsWhatAptHasToTake)
{
    EXPECT_EQ("Package: nginx\nPin: version 1:1.22.1-9+deb12u1\nPin-Priority: 1001\n\n",
              apt_preferences(locked().layers[0]));
}

TEST(LockFile, KnowsTheParentThatItWasMadeOn)
{
    recipes::Recipe recipe;
    recipe.base = recipes::AmiBase{.name = "debian-12", .version = {}, .reference = "debian-12@1.x.x"};
    const LockFile lock{.inputs = locked_inputs(recipe, digest_of("parent"))};
    EXPECT_EQ(digest_of("parent"), locked_parent(lock, recipe));
    recipe.base = recipes::AmiBase{.name = "debian-12", .version = {}, .reference = "debian-12@2.x.x"};
    EXPECT_EQ(std::nullopt, locked_parent(lock, recipe));
}

TEST(LockFile, RefusesAnotherVersionAndWhatAptWouldReadAsMore)
{
    EXPECT_THROW(static_cast<void>(parse_lock_file(R"({"kiln_lock":2,"inputs":{},"layers":[]})", "a")), Error);
    for (const auto& [name, version] :
         {std::pair{"nginx", "1\nPin-Priority: 1"}, std::pair{"a\n\nPackage: *", "1"}, std::pair{"--reinstall", "1"},
          std::pair{"nginx", ""}, std::pair{"nginx", "/.*/"}}) {
        LockFile hostile = locked();
        hostile.layers[0].packages[0].name = name;
        hostile.layers[0].packages[0].version = version;
        EXPECT_THROW(static_cast<void>(parse_lock_file(to_text(hostile), "a")), Error) << name << version;
    }
}

} // namespace
} // namespace kiln::builder
