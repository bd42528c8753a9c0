// SPDX-License-Identifier: Apache-2.0
// recipes/recipe-schema.json, the parser and docs/recipe.md know the same keys, and what the schema gives as
// examples parses. The parser's keys are those that it lists when a key is unknown.
#include "every_key.h"

#include "core/json.h"

#include <algorithm>
#include <set>

namespace kiln::recipes::test
{
namespace
{

using Keys = std::set<std::string>;

const Json& schema()
{
    static const Json json =
        Json::parse(read_file(std::filesystem::path(KILN_SOURCE_DIR) / "recipes/recipe-schema.json"));
    return json;
}

// The tables of the language by their names in the schema, "" for the recipe itself.
std::map<std::string, Json> tables()
{
    std::map<std::string, Json> all{{"", schema()}};
    for (const auto& [name, definition] : schema().at("$defs").items()) {
        if (definition.contains("properties")) {
            all.emplace(name, definition);
        }
    }
    return all;
}

std::string toml_of(const Json& value)
{
    std::string out;
    if (value.is_object() || value.is_array()) {
        for (const auto& [key, item] : value.items()) {
            out += (out.empty() ? "" : ", ") + (value.is_object() ? Json(key).dump() + " = " : "") + toml_of(item);
        }
        return value.is_object() ? "{ " + out + " }" : "[" + out + "]";
    }
    return value.dump();
}

std::string document_of(const Json& root)
{
    std::string out;
    for (const auto& [key, value] : root.items()) {
        out += key + " = " + toml_of(value) + "\n";
    }
    return out;
}

class Schema : public EveryKey
{
protected:
    void SetUp() override
    {
        EveryKey::SetUp();
        make_directories(folder_.path() / "images");
        for (const std::string name :
             {"files/motd", "files/tool.tar.gz", "images/other.qcow2", "images/root.tar.zst"}) {
            write(name, "test"); // whose digest the examples have
        }
    }
    void use_component(const Json& component) const { write("components/web-server.toml", document_of(component)); }

    // A recipe around `example` of the table `name`.
    [[nodiscard]] Json recipe_with(const std::string& name, const Json& example) const
    {
        Json recipe = {{"name", "around"},
                       {"version", "1.0.0"},
                       {"architecture", "x86_64"},
                       {"base", {{"bootstrap", "debian"}, {"suite", "bookworm"}}},
                       {"storage", Json::array({{{"size", "2GiB"}, {"filesystem", "ext4"}}})}};
        if (name != "component") {
            use_component(schema().at("$defs").at("component").at("examples").at(0));
        }
        if (name.empty()) {
            return example;
        }
        if (name.ends_with("_base")) {
            recipe["base"] = example;
            if (name != "bootstrap_base" && name != "rootfs_base") {
                recipe.erase("storage");
            }
        } else if (name == "volume") {
            recipe["storage"].push_back(example);
        } else if (name == "part") {
            recipe["storage"].push_back({{"size", "16GiB"}, {"partition", Json::array({example})}});
        } else if (name == "parameter") {
            recipe["parameters"]["listen_port"] = example;
        } else if (name == "secret") {
            recipe["secret"] = Json::array({example});
            recipe["step"] = Json::array({{{"run", "true"}, {"secrets", Json::array({example.at("name")})}}});
        } else if (name == "kernel_modules") {
            recipe["step"] = Json::array({{{"kernel_modules", example}}});
        } else if (name.ends_with("_step")) {
            recipe["step"] = Json::array({example});
            if (example.contains("secrets")) {
                recipe["secret"] = Json::array({{{"name", "database-password"}, {"environment", "A"}}});
            }
        } else if (name.ends_with("_test")) {
            recipe["test"] = Json::array({example});
        } else if (name == "component") {
            use_component(example);
            recipe["step"] = Json::array({{{"component", "web-server@1.x.x"}}});
            if (example.contains("parameters")) {
                recipe["step"][0]["parameters"] = {{"listen_port", 8080}};
            }
        } else { // boot, launch, seal
            recipe[name] = example;
        }
        return recipe;
    }
    [[nodiscard]] std::string say(const std::string& name, const Json& example) const
    {
        return what_of(document_of(recipe_with(name, example)), folder_.path() / "x.toml");
    }
    // The keys that the parser would have known in the table.
    [[nodiscard]] Keys known(const std::string& name, Json example) const
    {
        const std::string unknown(20, 'z');
        example[unknown] = 1;
        Keys keys;
        for (const Diagnostic& of :
             diagnostics_of(document_of(recipe_with(name, example)), folder_.path() / "x.toml")) {
            constexpr std::string_view start = "known here: ";
            EXPECT_TRUE(of.path.ends_with(unknown) && of.hint.starts_with(start)) << of.path << ": " << of.message;
            std::string rest = replaced(of.hint.substr(std::min(of.hint.size(), start.size())), ", ", " ");
            for (std::size_t end = 0; !rest.empty(); rest.erase(0, end + (end < rest.size() ? 1 : 0))) {
                end = std::min(rest.find(' '), rest.size());
                keys.insert(rest.substr(0, end));
            }
        }
        return keys;
    }
};

Keys properties_of(const Json& table)
{
    Keys keys;
    for (const auto& [key, property] : table.at("properties").items()) {
        keys.insert(key);
    }
    return keys;
}

// The keys that say which kind of step, test or base a table is: the parser asks for all of them.
Keys kinds_beside(const std::string& name)
{
    Keys kinds;
    const std::size_t underscore = name.rfind('_');
    if (underscore == std::string::npos || name == "kernel_modules") {
        return kinds;
    }
    for (const auto& [other, table] : tables()) {
        if (other.ends_with(name.substr(underscore))) {
            if (table.contains("required")) {
                kinds.insert(table.at("required").at(0).get<std::string>());
            } else {
                for (const Json& choice : table.at("anyOf")) {
                    kinds.insert(choice.at("required").at(0).get<std::string>());
                }
            }
        }
    }
    return kinds;
}

TEST_F(Schema, HasTheKeysOfTheParser)
{
    for (const auto& [name, table] : tables()) {
        const Keys properties = properties_of(table);
        Keys keys;
        for (const Json& example : table.at("examples")) {
            keys.merge(known(name, example));
        }
        for (const std::string& kind : kinds_beside(name)) {
            if (!properties.contains(kind)) {
                keys.erase(kind);
            }
        }
        EXPECT_EQ(keys, properties) << name;
    }
}

TEST_F(Schema, DescribesEachKeyWithExamplesThatParse)
{
    for (const auto& [name, table] : tables()) {
        for (const Json& example : table.at("examples")) {
            EXPECT_EQ(say(name, example), "no error") << name << " " << example;
        }
        for (const auto& [key, property] : table.at("properties").items()) {
            EXPECT_FALSE(property.value("description", "").empty()) << name << "." << key;
            const bool elsewhere = property.contains("$ref") ||
                                   property.value("items", Json::object()).contains("$ref") ||
                                   key == "parameters"; // the table that it is has them
            EXPECT_TRUE(elsewhere || !property.value("examples", Json::array()).empty()) << name << "." << key;
            const auto whole = std::ranges::find_if(table.at("examples"), [&name_of_key = key](const Json& example) {
                return example.contains(name_of_key);
            });
            if (whole == table.at("examples").end()) {
                EXPECT_TRUE(name.empty() && elsewhere) << name << "." << key;
                continue;
            }
            for (const Json& value : property.value("examples", Json::array())) {
                Json changed_example = *whole;
                changed_example[key] = value;
                EXPECT_EQ(say(name, changed_example), "no error") << name << "." << key << " = " << value;
            }
        }
    }
}

TEST_F(Schema, HasTheKeysOfTheReference)
{
    const std::string reference = read_file(std::filesystem::path(KILN_SOURCE_DIR) / "docs/recipe.md");
    for (const auto& [name, table] : tables()) {
        for (const std::string& key : properties_of(table)) {
            EXPECT_TRUE(reference.find("`" + key + "`") != std::string::npos ||
                        reference.find("[" + key) != std::string::npos)
                << name << "." << key;
        }
    }
}

} // namespace
} // namespace kiln::recipes::test
