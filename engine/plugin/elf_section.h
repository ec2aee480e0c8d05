#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace sluice::plugin {

/// Bytes that are read by place, without a copy of the whole.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  /// Fills all of `out` from `offset`; the range was checked against size().
  /// Errors: Io.
  virtual Status Read(uint64_t offset, std::span<char> out) const = 0;
};

/// One section of an ELF shared library, and what the library is for.
struct ElfSection {
  std::string bytes;
  int bits = 64;         ///< 32 or 64
  uint16_t machine = 0;  ///< EM_* of <elf.h>
};

/// Reads the section `name` of a little-endian ELF shared library. Nothing is
/// mapped, loaded or run, and every offset is checked against the file's size.
/// Errors, each naming what is wrong and where: NotFound (no such section, or
/// no file), Unsupported (not a shared library, big-endian, compressed),
/// InvalidArgument (broken or hostile), ResourceExhausted (over `max_bytes`), Io.
/// Messages do not repeat the path.
/// Spec: System V ABI, chapter 4 (object files).
Result<ElfSection> ReadElfSection(const ByteSource& file, std::string_view name, size_t max_bytes);
Result<ElfSection> ReadElfSection(const std::string& path, std::string_view name, size_t max_bytes);

/// Whether a library of these properties can be loaded into this process; the
/// error names both sides.
Status CheckElfTarget(const ElfSection& section);

/// Reads a regular file of up to `max_bytes` bytes.
/// Errors: NotFound, PermissionDenied, InvalidArgument (not a regular file),
/// ResourceExhausted (larger), Io.
Result<std::string> ReadSmallFile(const std::string& path, size_t max_bytes);

}  // namespace sluice::plugin
