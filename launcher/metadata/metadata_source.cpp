// SPDX-License-Identifier: Apache-2.0
#include "launcher/metadata/metadata_source.h"

#include "core/files.h"
#include "launcher/instance_store.h"
#include "launcher/metadata/identity.h"
#include "launcher/storage/volume_store.h"

namespace kiln::launcher
{

MetadataSource load_metadata_source(const InstancePaths& paths)
{
    Paths home; // what volumes are looked up by
    home.home = paths.ended.parent_path().parent_path();
    home.instances = paths.folder.parent_path();
    MetadataSource source;
    source.instance = with_volumes(home, load_record(paths));
    source.public_keys =
        read_file(source.instance.key_name.empty() ? std::filesystem::path(source.instance.ssh_key.native() + ".pub")
                                                   : paths.authorized_keys,
                  mebibytes(1));
    if (const auto identity = load_identity(paths.folder, source.instance)) {
        source.identity_signature = identity->signature;
    }
    if (source.instance.user_data) {
        source.user_data = read_file(paths.user_data, mebibytes(1));
    }
    return source;
}

} // namespace kiln::launcher
