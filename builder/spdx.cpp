// SPDX-License-Identifier: Apache-2.0
#include "builder/spdx.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

namespace kiln::builder
{
namespace
{

constexpr std::string_view image_id = "SPDXRef-Image";

std::string percent_encoded(std::string_view text)
{
    std::string encoded;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                           c == '-' || c == '_' || c == '~';
        encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

// An SPDX id has letters, digits, '.' and '-' only; the number keeps two alike apart.
std::string id_of(const Package& package, std::size_t number)
{
    std::string id = fmt::format("SPDXRef-Package-{}-", number);
    for (const char c : package.name) {
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
        id += plain ? c : '-';
    }
    return id;
}

// "Debian", for the supplier of what its archive delivers.
std::string supplier_of(const OperatingSystem& os)
{
    return os.distribution == "debian" ? "Organization: Debian" : "NOASSERTION";
}

Json relationship(std::string_view from, std::string_view type, std::string_view to)
{
    return {{"spdxElementId", from}, {"relationshipType", type}, {"relatedSpdxElement", to}};
}

Json image_package(const SbomSubject& subject)
{
    return {{"SPDXID", image_id},
            {"name", subject.name},
            {"versionInfo", subject.version},
            {"downloadLocation", "NOASSERTION"},
            {"filesAnalyzed", false},
            {"primaryPackagePurpose", "OPERATING-SYSTEM"},
            {"supplier", "NOASSERTION"},
            {"licenseConcluded", "NOASSERTION"},
            {"licenseDeclared", "NOASSERTION"},
            {"copyrightText", "NOASSERTION"}};
}

Json debian_package(const Package& package, std::string id, const OperatingSystem& os, const InstalledPackage* known)
{
    const bool has_place = known != nullptr && !known->uri.empty();
    Json json = {{"SPDXID", std::move(id)},
                 {"name", package.name},
                 {"versionInfo", package.version},
                 {"downloadLocation", has_place ? known->uri : "NOASSERTION"},
                 {"filesAnalyzed", false},
                 {"supplier", supplier_of(os)},
                 {"licenseConcluded", "NOASSERTION"},
                 {"licenseDeclared", "NOASSERTION"},
                 {"copyrightText", "NOASSERTION"},
                 {"externalRefs", Json::array({{{"referenceCategory", "PACKAGE-MANAGER"},
                                                {"referenceType", "purl"},
                                                {"referenceLocator", package_url(package, os)}}})}};
    if (known != nullptr && known->sha256) {
        json["checksums"] = Json::array({{{"algorithm", "SHA256"}, {"checksumValue", known->sha256->hex()}}});
    }
    return json;
}

} // namespace

std::string package_url(const Package& package, const OperatingSystem& os)
{
    const std::string vendor = os.distribution.empty() ? "debian" : os.distribution;
    return fmt::format("pkg:deb/{}/{}@{}?arch={}&distro={}-{}", percent_encoded(vendor), percent_encoded(package.name),
                       percent_encoded(package.version), percent_encoded(package.architecture), percent_encoded(vendor),
                       percent_encoded(os.version));
}

Json spdx_document(const SbomSubject& subject, const Software& software, const std::vector<InstalledPackage>& known)
{
    using Key = std::tuple<std::string, std::string, std::string>;
    std::map<Key, const InstalledPackage*> by_key;
    for (const InstalledPackage& package : known) {
        by_key[{package.name, package.version, package.architecture}] = &package;
    }
    Json packages = Json::array({image_package(subject)});
    Json relationships = Json::array({relationship("SPDXRef-DOCUMENT", "DESCRIBES", image_id)});
    for (std::size_t i = 0; i < software.packages.size(); ++i) {
        const Package& package = software.packages[i];
        const auto found = by_key.find({package.name, package.version, package.architecture});
        const std::string id = id_of(package, i);
        packages.push_back(debian_package(package, id, software.os, found != by_key.end() ? found->second : nullptr));
        relationships.push_back(relationship(image_id, "CONTAINS", id));
    }
    return {{"spdxVersion", "SPDX-2.3"},
            {"dataLicense", "CC0-1.0"},
            {"SPDXID", "SPDXRef-DOCUMENT"},
            {"name", fmt::format("{}-{}", subject.name, subject.version)},
            {"documentNamespace", fmt::format("https://kiln.invalid/spdx/{}-{}-{}", percent_encoded(subject.name),
                                              percent_encoded(subject.version), percent_encoded(subject.unique))},
            {"creationInfo",
             {{"created", subject.created}, {"creators", Json::array({"Tool: kiln-" + subject.kiln_version})}}},
            {"packages", std::move(packages)},
            {"relationships", std::move(relationships)}};
}

} // namespace kiln::builder
