#include "engine/plugin/node_instance.h"

#include <fmt/format.h>

namespace sluice::plugin {
namespace {

sluice_param ToAbi(const ParamArgument& argument) {
  const graph::ParamValue& value = argument.value;
  sluice_param out{};
  out.name = argument.name.c_str();
  out.type = static_cast<int32_t>(value.type);
  out.given = argument.given ? 1 : 0;
  switch (value.type) {
    case graph::ParamType::kInt:
      out.i = value.i;
      out.f = static_cast<double>(value.i);
      break;
    case graph::ParamType::kBool:
    case graph::ParamType::kDuration: out.i = value.i; break;
    case graph::ParamType::kFloat: out.f = value.f; break;
    case graph::ParamType::kSize:
      out.i = static_cast<int64_t>(uint64_t{value.size.width} << 32 | value.size.height);
      break;
    case graph::ParamType::kRate:
      out.i = static_cast<int64_t>(uint64_t{value.rate.numerator} << 32 | value.rate.denominator);
      break;
    case graph::ParamType::kString:
    case graph::ParamType::kEnum:
    case graph::ParamType::kPath:
    case graph::ParamType::kMap: out.s = value.text.c_str(); break;
  }
  return out;
}

/// Inputs first, then outputs, each counted from 0.
std::vector<sluice_port_config> ToAbi(const std::vector<PortArgument>& ports) {
  std::vector<sluice_port_config> out;
  for (graph::Direction direction : {graph::Direction::kInput, graph::Direction::kOutput}) {
    uint32_t index = 0;
    for (const PortArgument& port : ports) {
      if (port.direction != direction) continue;
      sluice_port_config config{};
      config.name = port.name.c_str();
      config.index = index++;
      config.direction = static_cast<int32_t>(direction);
      config.connected = port.connected ? 1 : 0;
      if (port.connected) {
        config.views = port.views;
        config.format = plugin::ToAbi(port.format);
        config.layout = plugin::ToAbi(port.layout);
        config.buffers = port.buffers;
        config.sync = port.sync;
      }
      out.push_back(config);
    }
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<NodeInstance>> NodeInstance::Create(const sluice_node_factory& factory,
                                                           const std::string& type_id,
                                                           std::span<const ParamArgument> params,
                                                           NodeHost& host) {
  std::vector<sluice_param> abi_params;
  for (const ParamArgument& param : params) abi_params.push_back(ToAbi(param));
  sluice_param_set set{static_cast<uint32_t>(abi_params.size()), 0, abi_params.data()};
  std::unique_ptr<NodeInstance> instance(new NodeInstance);
  instance->host_ = &host;
  int32_t result =
      factory.create(Host(), type_id.c_str(), &set, plugin::ToAbi(&host), &instance->node_);
  if (result < 0) {
    instance->node_ = {};
    return Fail(static_cast<Code>(result), "create");
  }
  if (instance->node_.configure == nullptr || instance->node_.stop == nullptr ||
      instance->node_.destroy == nullptr) {
    return Fail(Code::kInternal, fmt::format("{}: the plugin left a verb out", type_id));
  }
  instance->FindExtensions();
  return instance;
}

NodeInstance::~NodeInstance() {
  SLUICE_CHECK(state_ != State::kActive);
  if (node_.destroy != nullptr) node_.destroy(node_.self);
}

Status NodeInstance::Check(int32_t result, const char* verb) const {
  if (result >= 0) return {};
  return Fail(static_cast<Code>(result), verb);
}

Result<OfferSink> NodeInstance::Probe(const graph::NodeType& type) {
  OfferSink sink;
  sink.type = &type;
  if (node_.probe == nullptr) return sink;
  SLUICE_RETURN_IF_ERROR(Check(node_.probe(node_.self, plugin::ToAbi(&sink)), "probe"));
  return sink;
}

Status NodeInstance::Configure(const ConfigureArguments& arguments) {
  SLUICE_CHECK(state_ != State::kActive);
  auto ports = ToAbi(arguments.ports);
  sluice_configuration configuration{arguments.epoch, static_cast<uint32_t>(ports.size()),
                                     ports.data(), arguments.realtime, arguments.overwrite};
  SLUICE_RETURN_IF_ERROR(Check(node_.configure(node_.self, &configuration), "configure"));
  state_ = State::kConfigured;
  return {};
}

Status NodeInstance::Start() {
  SLUICE_CHECK(state_ == State::kConfigured);
  if (node_.start != nullptr) SLUICE_RETURN_IF_ERROR(Check(node_.start(node_.self), "start"));
  state_ = State::kActive;
  return {};
}

void NodeInstance::Stop(MonotonicNs deadline_ns, bool completed) {
  if (state_ != State::kActive) return;
  node_.stop(node_.self, deadline_ns, completed ? 1 : 0);
  state_ = State::kConfigured;
}

Status NodeInstance::Reconfigure(const ConfigureArguments& arguments) {
  SLUICE_CHECK(state_ == State::kActive);
  if (node_.reconfigure == nullptr) {
    return Fail(Code::kUnsupported, "this node cannot change its format while it runs");
  }
  auto ports = ToAbi(arguments.ports);
  sluice_configuration configuration{arguments.epoch, static_cast<uint32_t>(ports.size()),
                                     ports.data(), arguments.realtime, arguments.overwrite};
  return Check(node_.reconfigure(node_.self, &configuration), "reconfigure");
}

Status NodeInstance::SetParam(const ParamArgument& param) {
  if (node_.set_param == nullptr) return Fail(Code::kUnsupported, "no parameter can be changed");
  sluice_param abi = ToAbi(param);
  return Check(node_.set_param(node_.self, &abi), "set_param");
}

void NodeInstance::FindExtensions() {
  if (node_.get_extension == nullptr) return;
  auto find = [this](const char* id) { return node_.get_extension(node_.self, id); };
  auto* allocator = static_cast<const sluice_allocator*>(find(SLUICE_ALLOCATOR_ID));
  if (allocator != nullptr && allocator->struct_size >= sizeof(sluice_allocator)) {
    allocator_ = allocator;
  }
  auto* importer = static_cast<const sluice_importer*>(find(SLUICE_IMPORTER_ID));
  if (importer != nullptr && importer->struct_size >= sizeof(sluice_importer)) {
    importer_ = importer;
  }
  auto* ending = static_cast<const sluice_ending*>(find(SLUICE_ENDING_ID));
  if (ending != nullptr && ending->struct_size >= sizeof(sluice_ending)) ending_ = ending;
}

Result<PortMemory> NodeInstance::Allocate(graph::Direction direction, uint32_t port,
                                          const MemoryRequest& request) {
  if (allocator_ == nullptr) return Fail(Code::kUnsupported, "this node cannot allocate");
  sluice_pool_request abi{};
  abi.pool = request.pool;
  abi.epoch = request.epoch;
  abi.buffers = request.buffers;
  abi.views = request.views;
  abi.format = plugin::ToAbi(request.format);
  if (request.layout) abi.layout = plugin::ToAbi(*request.layout);
  abi.stride_multiple = request.alignment.stride;
  abi.offset_multiple = request.alignment.offset;
  abi.base_multiple = request.alignment.base;
  abi.size_multiple = request.alignment.size;
  abi.tail_bytes = request.alignment.tail;
  PoolSink sink(request.format, request.buffers);
  const int32_t result = allocator_->allocate(node_.self, static_cast<int32_t>(direction), port,
                                              &abi, plugin::ToAbi(&sink));
  Status done = sink.Finish();
  if (result < 0 && sink.error() == nullptr) done = Check(result, "allocate");
  if (done) return std::move(sink.memory());
  // What was wrong with a buffer says more than that it was refused.
  if (sink.error() != nullptr) {
    host_->SetError(static_cast<int32_t>(sink.error()->code), sink.error()->message);
  }
  sink.Drop();
  ReleasePool(request.pool, request.epoch);
  return tl::unexpected(done.error());
}

void NodeInstance::ReleasePool(uint32_t pool, uint32_t epoch) {
  if (allocator_ != nullptr) allocator_->release_pool(node_.self, pool, epoch);
}

Status NodeInstance::TestImport(graph::Direction direction, uint32_t port, media::Frame& frame) {
  if (importer_ == nullptr || importer_->test == nullptr) return {};
  return Check(importer_->test(node_.self, static_cast<int32_t>(direction), port,
                               plugin::ToAbi(&frame)),
               "import");
}

void NodeInstance::ForgetPool(uint32_t pool, uint32_t epoch) {
  if (importer_ != nullptr && importer_->forget_pool != nullptr) {
    importer_->forget_pool(node_.self, pool, epoch);
  }
}

}  // namespace sluice::plugin
