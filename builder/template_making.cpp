// SPDX-License-Identifier: Apache-2.0
#include "builder/template_making.h"

#include "builder/guestfs_handle.h"
#include "builder/warm_template.h"
#include "core/error.h"

#include <exception>

namespace kiln::builder
{
namespace fs = std::filesystem;

TemplateMaking::TemplateMaking(Accelerator accelerator, bool network, fs::path cache, fs::path work,
                               const std::stop_token& stop)
    : exceptions_(std::uncaught_exceptions()), on_stop_(stop, [this] { ended_.request_stop(); }),
      on_end_(ended_.get_token(), kill_appliance_processes),
      made_(std::async(std::launch::async, [accelerator, network, cache = std::move(cache), work = std::move(work),
                                            token = ended_.get_token()] {
          try {
              const TemplateInputs inputs = find_template_inputs(accelerator, network, token);
              static_cast<void>(ensure_template(cache, inputs, work, token));
          } catch (const std::exception&) { // the launch tries again, and tells why it can't
          }
      }))
{
}

TemplateMaking::~TemplateMaking()
{
    if (std::uncaught_exceptions() > exceptions_) {
        ended_.request_stop();
    }
    made_.wait();
}

} // namespace kiln::builder
