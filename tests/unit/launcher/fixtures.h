// SPDX-License-Identifier: Apache-2.0
// An instance as a test wants it, in a home of the test's own.
#pragma once

#include "launcher/instance_store.h"
#include "tests/support/temporary_folder.h"

namespace kiln::launcher
{

inline Paths paths_in(const std::filesystem::path& home)
{
    Paths paths;
    paths.home = home;
    paths.instances = home / "instances";
    paths.run = home / "run";
    paths.work = home / "work";
    return paths;
}

inline Instance small_instance(const InstancePaths& files)
{
    Instance instance;
    instance.id = "i-0123456789abcdef0";
    instance.name = "web";
    instance.state = InstanceState::running;
    instance.region = "local";
    instance.image_id = "ami-0123456789abcdef0";
    instance.image_name = "debian-12";
    instance.image_version = "1.0.0";
    instance.image_manifest = "sha256:" + std::string(64, 'a');
    instance.type = "t3.small";
    instance.vcpus = 2;
    instance.memory = gibibytes(2);
    instance.disks.push_back(
        {"/dev/vda", gibibytes(2), true, files.disks / "disk0.qcow2", {"/registry/base,1", "/registry/delta"}});
    instance.ssh_port = 40022;
    instance.ssh_key = files.ssh / "id_ed25519";
    instance.launched = "2026-11-23T17:44:58Z";
    instance.account_id = "123456789012";
    return instance;
}

} // namespace kiln::launcher
