#include <sluice/plugin.hpp>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/filters/filter.h"
#include "nodes/vulkan/nodes.h"
#include "nodes/vulkan/profiler.h"
#include "nodes/vulkan/sharing/receive_node.h"
#include "nodes/vulkan/sharing/send_node.h"

SLUICE_EXPORT_PLUGIN(sluice::vulkan::LookNode, sluice::vulkan::ConvertNode,
                     sluice::vulkan::ShaderNode, sluice::vulkan::ScaleNode,
                     sluice::vulkan::CropNode, sluice::vulkan::RotateNode, sluice::vulkan::FlipNode,
                     sluice::vulkan::ComposeNode, sluice::vulkan::BlurNode,
                     sluice::vulkan::BoxBlurNode, sluice::vulkan::SharpenNode,
                     sluice::vulkan::LutNode, sluice::vulkan::ChromaKeyNode,
                     sluice::vulkan::AdjustNode, sluice::vulkan::MaskNode,
                     sluice::vulkan::SendNode, sluice::vulkan::ReceiveNode,
                     sluice::vulkan::VulkanDomain, sluice::vulkan::Profiler);
