/// Everything of the C++ SDK: a header-only wrapper over the C ABI, without logic of its own
/// (but for Pace, so that all sources keep time alike).
///
/// Read plugins/examples/invert first. The C headers (abi.h, node.h, frame.h, format.h, domain.h)
/// say what each call means; these classes only hold leases, catch exceptions and fill tables.
#ifndef SLUICE_SDK_SDK_HPP_
#define SLUICE_SDK_SDK_HPP_

#include <sluice/abi.h>
#include <sluice/format.h>
#include <sluice/doctor.hpp>
#include <sluice/domain.hpp>
#include <sluice/fence.hpp>
#include <sluice/frame.hpp>
#include <sluice/host.hpp>
#include <sluice/memory.hpp>
#include <sluice/node.hpp>
#include <sluice/offer.hpp>
#include <sluice/pace.hpp>
#include <sluice/params.hpp>
#include <sluice/plugin.hpp>
#include <sluice/status.hpp>
#include <sluice/unique_fd.hpp>

#endif  // SLUICE_SDK_SDK_HPP_
