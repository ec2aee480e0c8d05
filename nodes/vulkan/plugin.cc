#include <sluice/plugin.hpp>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/frame_node.h"

SLUICE_EXPORT_PLUGIN(sluice::vulkan::LookNode, sluice::vulkan::ConvertNode,
                     sluice::vulkan::ShaderNode, sluice::vulkan::VulkanDomain);
