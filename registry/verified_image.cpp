// SPDX-License-Identifier: Apache-2.0
#include "registry/verified_image.h"

#include "core/error.h"
#include "registry/examination.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kiln::registry
{
namespace fs = std::filesystem;

VerifiedImage::VerifiedImage(Image image, bundle::Manifest manifest, fs::path blobs, std::string region)
    : image_(std::move(image)), manifest_(std::move(manifest)), blobs_(std::move(blobs)), region_(std::move(region))
{
}

std::vector<fs::path> VerifiedImage::layer_paths(const bundle::BlockDeviceMapping& device) const
{
    // The mapping that was verified, whatever the caller's copy says.
    const auto& devices = manifest_.block_devices;
    const auto verified = std::find_if(devices.begin(), devices.end(),
                                       [&](const auto& mapping) { return mapping.device == device.device; });
    if (verified == devices.end()) {
        throw Error(ErrorKind::internal, fmt::format("{} has no device {}", image_.name, device.device));
    }
    std::vector<fs::path> paths;
    for (const bundle::LayerReference& layer : verified->layers) {
        paths.push_back(blobs_ / layer.digest.hex());
    }
    return paths;
}

bool Decision::passed() const
{
    return !checks.empty() &&
           std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.passed; });
}

Decision decide(const Region& region, const Image& image, const signing::TrustStore& trust,
                const std::string& calling_account, const VerifyOptions& options)
{
    Examination examination(region, image, trust, calling_account, Examination::Failure::go_on);
    examination.read_layers(options.reading, options.record);
    examination.want_tests(options.untested == Untested::refuse);
    examination.run();
    return {examination.checks()};
}

VerifiedImage verify(const Region& region, const Image& image, const signing::TrustStore& trust,
                     const std::string& calling_account, const VerifyOptions& options)
{
    auto lease = std::make_shared<const Lease>(region.lease({image.manifest}));
    Examination examination(region, image, trust, calling_account, Examination::Failure::throws);
    examination.read_layers(options.reading, options.record);
    examination.want_tests(options.untested == Untested::refuse);
    if (options.unsigned_images == Unsigned::allow) {
        examination.allow_unsigned();
    }
    examination.run();
    const fs::path blobs = fs::absolute(region.layout().blob_path(image.manifest).parent_path());
    VerifiedImage verified(examination.image(), examination.manifest().value(), blobs, region.name());
    verified.unsigned_reason_ = examination.unsigned_reason();
    verified.lease_ = std::move(lease);
    return verified;
}

} // namespace kiln::registry
