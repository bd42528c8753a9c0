// SPDX-License-Identifier: Apache-2.0
#include "builder/compression.h"

#include "builder/layer.h"

namespace kiln::builder
{
namespace fs = std::filesystem;

Compression::Compression(fs::path raw, fs::path layer, const std::stop_token& stop)
    : on_stop_(stop, [this] { ended_.request_stop(); }),
      result_(
          std::async(std::launch::async, [raw = std::move(raw), layer = std::move(layer), token = ended_.get_token()] {
              layer_from_raw(raw, layer, token);
              return digest_of_file(layer);
          }))
{
}

Compression::~Compression()
{
    ended_.request_stop(); // the future's destructor waits
}

Digest Compression::finish()
{
    return result_.get();
}

} // namespace kiln::builder
