#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/offer.h"

namespace sluice::graph {

/// Type of a parameter. Values equal SLUICE_VALUE_* of the plugin ABI.
enum class ParamType {
  kString = 1,
  kInt = 2,
  kFloat = 3,
  kBool = 4,
  kSize = 5,
  kRate = 6,
  kDuration = 7,
  kEnum = 8,
  kPath = 9,
  kMap = 10,
};
std::string_view ParamTypeName(ParamType type);
std::optional<ParamType> ParseParamType(std::string_view name);

struct Size {
  uint32_t width = 0;
  uint32_t height = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

/// A checked parameter value. The type says which member counts, as in the ABI:
/// `i` for int, bool (0/1) and duration (ns); `f` for float, and the value of an
/// int; `text` for string, enum, path and map (JSON object text).
struct ParamValue {
  ParamType type = ParamType::kString;
  int64_t i = 0;
  double f = 0;
  std::string text;
  Size size;
  media::Rate rate;

  std::string ToString() const;
  friend bool operator==(const ParamValue&, const ParamValue&) = default;
};

/// Whether a parameter may change while a graph runs.
enum class Changeable { kNo, kRunning, kRenegotiate };

/// What the text of a string has to be.
enum class Form {
  kAny,
  kColor,       ///< "#rrggbb"
  kColorAlpha,  ///< the same or "#rrggbbaa"
};
/// "#rrggbb or #rrggbbaa"; "" for any.
std::string_view FormText(Form form);

/// What a manifest declares about one parameter.
struct ParamDesc {
  std::string name;
  ParamType type = ParamType::kString;
  std::string doc;
  /// Unit that a number may be followed by ("px", "dB", "%"); durations take
  /// ns, us, ms, s whatever stands here. Empty = none is accepted.
  std::string unit;
  std::optional<double> min;  ///< numbers; durations in seconds
  std::optional<double> max;
  std::vector<std::string> choices;  ///< enums
  Form form = Form::kAny;            ///< strings
  std::optional<ParamValue> default_value;
  bool required = false;
  Changeable changeable = Changeable::kNo;
};

/// Checks `text` (a scalar of a graph or of --set) against `desc`. On failure
/// returns nothing and says in `problem` what was expected, without the name.
std::optional<ParamValue> ParseParamValue(const ParamDesc& desc, std::string_view text,
                                          std::string* problem);

enum class Direction { kInput = 0, kOutput = 1 };
enum class Access { kCpu, kDevice };
enum class Acquisition { kPerInvocation, kDynamic };

/// What a manifest declares about one port.
struct PortDesc {
  std::string name;
  Direction direction = Direction::kInput;
  std::string doc;
  bool required = true;  ///< must have an edge
  Access access = Access::kCpu;
  Acquisition acquisition = Acquisition::kPerInvocation;
  /// Output: emits the frames of this input, without a pool of its own. Such a
  /// port needs no offers.
  std::string passthrough;
  bool raw_fds = false;
  std::vector<Offer> offers;
};

enum class SyncPolicy { kAll, kLatest };

/// What a manifest declares about one node type.
struct NodeType {
  std::string id;  ///< "vulkan.look"
  std::string doc;
  std::string status = "stable";
  std::string plugin;  ///< of whom; for list and inspect
  std::vector<PortDesc> ports;
  std::vector<ParamDesc> params;
  std::vector<Tie> ties;
  std::string domain = "cpu";
  bool heavy = false;      ///< `cost: heavy`: a run group of its own
  bool async = false;      ///< may answer ASYNC: a run group of its own
  bool live = false;       ///< a source that real time drives: drops when nothing is free
  uint32_t parallel = 1;   ///< invocations at once
  uint32_t in_flight = 0;  ///< more frames that an async or device node has under way
  SyncPolicy sync = SyncPolicy::kAll;  ///< default on fan-in
  std::string trigger;                 ///< input that triggers under `latest`; "" = the first
  /// May be put on an edge by `convert: auto`. Needs exactly one input and one output.
  bool converter = false;
  double converter_cost = 1;  ///< passes over the bytes, beyond reading and writing once
  /// What it makes is a copy of the same pixels (a transfer), not another format.
  bool copies = false;

  const PortDesc* FindPort(std::string_view name) const;
  const ParamDesc* FindParam(std::string_view name) const;
  std::vector<const PortDesc*> Ports(Direction direction) const;
  /// Index of ports[port] among the ports of its direction, as the plugin ABI counts.
  uint32_t IndexInDirection(uint32_t port) const;
};

/// Where node types are looked up: the plugin registry, or a list in tests.
class TypeSource {
 public:
  virtual ~TypeSource() = default;
  /// Borrows; valid as long as the source. nullptr if there is none.
  virtual const NodeType* Find(std::string_view type_id) const = 0;
  /// Ids of all types, sorted.
  virtual std::vector<std::string> Names() const = 0;
};

/// A TypeSource over a list.
class TypeList final : public TypeSource {
 public:
  TypeList() = default;
  explicit TypeList(std::vector<NodeType> types);
  /// Replaces a type of the same id; pointers to it then see the new one.
  void Add(NodeType type);
  const NodeType* Find(std::string_view type_id) const override;
  std::vector<std::string> Names() const override;

 private:
  std::map<std::string, NodeType, std::less<>> types_;
};

}  // namespace sluice::graph
