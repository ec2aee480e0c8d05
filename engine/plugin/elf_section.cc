#include "engine/plugin/elf_section.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "engine/base/unique_fd.h"

namespace sluice::plugin {
namespace {

// Far above what a linker makes, and low enough that a hostile header costs little.
constexpr uint64_t kMaxSections = 65536;
constexpr uint64_t kMaxNames = uint64_t{16} << 20;

class FileSource final : public ByteSource {
 public:
  FileSource(UniqueFd fd, uint64_t size) : fd_(std::move(fd)), size_(size) {}

  uint64_t size() const override { return size_; }

  Status Read(uint64_t offset, std::span<char> out) const override {
    while (!out.empty()) {
      const ssize_t count = pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return FailErrno("read", errno);
      if (count == 0) return Fail(Code::kIo, "the file became shorter while it was read");
      offset += static_cast<uint64_t>(count);
      out = out.subspan(static_cast<size_t>(count));
    }
    return {};
  }

 private:
  UniqueFd fd_;
  uint64_t size_;
};

Result<FileSource> OpenRegularFile(const std::string& path) {
  // O_NONBLOCK: opening a fifo must not wait for its writer.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return FailErrno("open", errno);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return FailErrno("fstat", errno);
  if (!S_ISREG(info.st_mode)) return Fail(Code::kInvalidArgument, "is not a regular file");
  return FileSource(std::move(fd), static_cast<uint64_t>(info.st_size));
}

/// What both classes have in common, as 64 bits.
struct SectionHeader {
  uint32_t name = 0;
  uint32_t type = 0;
  uint64_t flags = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t link = 0;
};

struct Header {
  uint16_t type = 0;
  uint16_t machine = 0;
  uint64_t section_offset = 0;
  uint64_t section_entry_size = 0;
  uint64_t section_count = 0;
  uint64_t names_index = 0;
};

class Reader {
 public:
  explicit Reader(const ByteSource& file) : file_(file) {}

  Result<ElfSection> Read(std::string_view name, size_t max_bytes) {
    SLUICE_RETURN_IF_ERROR(ReadIdent());
    SLUICE_RETURN_IF_ERROR(bits_ == 64 ? ReadHeader<Elf64_Ehdr>() : ReadHeader<Elf32_Ehdr>());
    SLUICE_RETURN_IF_ERROR(CheckHeader());
    SLUICE_RETURN_IF_ERROR(bits_ == 64 ? ReadSections<Elf64_Shdr>() : ReadSections<Elf32_Shdr>());
    auto found = FindSection(name);
    if (!found) return tl::unexpected(std::move(found).error());
    ElfSection result;
    result.bits = bits_;
    result.machine = header_.machine;
    SLUICE_RETURN_IF_ERROR(ReadBytes(name, *found, max_bytes, &result.bytes));
    return result;
  }

 private:
  /// The one place that decides whether a range lies within the file.
  Status ReadRange(uint64_t offset, uint64_t size, char* out, std::string_view what) {
    if (offset > file_.size() || size > file_.size() - offset) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("{} at offset {} with {} bytes lies outside of the file ({} bytes)",
                              what, offset, size, file_.size()));
    }
    return file_.Read(offset, {out, static_cast<size_t>(size)});
  }

  Status ReadIdent() {
    unsigned char ident[EI_NIDENT];
    if (file_.size() < sizeof ident) {
      return Fail(Code::kUnsupported,
                  fmt::format("is not an ELF file (only {} bytes)", file_.size()));
    }
    SLUICE_RETURN_IF_ERROR(
        ReadRange(0, sizeof ident, reinterpret_cast<char*>(ident), "the ELF identification"));
    if (std::memcmp(ident, ELFMAG, SELFMAG) != 0) {
      return Fail(Code::kUnsupported, "is not an ELF file (wrong first bytes)");
    }
    if (ident[EI_CLASS] != ELFCLASS64 && ident[EI_CLASS] != ELFCLASS32) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("has the unknown ELF class {}", ident[EI_CLASS]));
    }
    if (ident[EI_DATA] != ELFDATA2LSB) {
      return Fail(Code::kUnsupported, "is not a little-endian ELF file");
    }
    bits_ = ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
    return {};
  }

  template <typename Ehdr>
  Status ReadHeader() {
    Ehdr raw;
    SLUICE_RETURN_IF_ERROR(
        ReadRange(0, sizeof raw, reinterpret_cast<char*>(&raw), "the ELF header"));
    header_ = {raw.e_type,      raw.e_machine, raw.e_shoff,
               raw.e_shentsize, raw.e_shnum,   raw.e_shstrndx};
    return {};
  }

  Status CheckHeader() {
    if (header_.type != ET_DYN) {
      const char* what = header_.type == ET_REL    ? "an object file"
                         : header_.type == ET_EXEC ? "an executable"
                         : header_.type == ET_CORE ? "a core dump"
                                                   : "of an unknown kind";
      return Fail(Code::kUnsupported, fmt::format("is {}, not a shared library", what));
    }
    if (header_.section_offset == 0) return Fail(Code::kNotFound, "has no sections");
    const uint64_t entry = bits_ == 64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    if (header_.section_entry_size != entry) {
      return Fail(Code::kInvalidArgument, fmt::format("has section headers of {} bytes, not of {}",
                                                      header_.section_entry_size, entry));
    }
    return {};
  }

  template <typename Shdr>
  Status ReadSections() {
    Shdr first;
    SLUICE_RETURN_IF_ERROR(ReadRange(header_.section_offset, sizeof first,
                                     reinterpret_cast<char*>(&first), "the first section header"));
    // Numbers that do not fit into the header stand in the first section's.
    if (header_.section_count == 0) header_.section_count = first.sh_size;
    if (header_.names_index == SHN_XINDEX) header_.names_index = first.sh_link;
    if (header_.section_count > kMaxSections) {
      return Fail(Code::kResourceExhausted, fmt::format("claims {} sections; at most {} are read",
                                                        header_.section_count, kMaxSections));
    }
    std::vector<Shdr> raw(header_.section_count);
    SLUICE_RETURN_IF_ERROR(ReadRange(header_.section_offset, header_.section_count * sizeof(Shdr),
                                     reinterpret_cast<char*>(raw.data()),
                                     "the section header table"));
    sections_.reserve(raw.size());
    for (const Shdr& s : raw) {
      sections_.push_back({s.sh_name, s.sh_type, s.sh_flags, s.sh_offset, s.sh_size, s.sh_link});
    }
    return ReadNames();
  }

  Status ReadNames() {
    if (header_.names_index >= sections_.size()) {
      return Fail(Code::kInvalidArgument, fmt::format("says that section {} of {} holds the names",
                                                      header_.names_index, sections_.size()));
    }
    const SectionHeader& table = sections_[header_.names_index];
    if (table.type != SHT_STRTAB) {
      return Fail(Code::kInvalidArgument,
                  "has a table of section names that is not a string table");
    }
    if (table.size > kMaxNames) {
      return Fail(Code::kResourceExhausted,
                  fmt::format("has {} bytes of section names", table.size));
    }
    // Before the memory for it is taken.
    if (table.size > file_.size()) {
      return Fail(
          Code::kInvalidArgument,
          fmt::format("has a table of section names of {} bytes, more than the file ({} bytes)",
                      table.size, file_.size()));
    }
    names_.resize(table.size);
    return ReadRange(table.offset, table.size, names_.data(), "the table of section names");
  }

  std::optional<std::string_view> NameAt(uint32_t offset) const {
    if (offset >= names_.size()) return std::nullopt;
    const std::string_view rest = std::string_view(names_).substr(offset);
    const size_t end = rest.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    return rest.substr(0, end);
  }

  Result<SectionHeader> FindSection(std::string_view name) const {
    const SectionHeader* found = nullptr;
    for (size_t i = 0; i < sections_.size(); ++i) {
      const SectionHeader& section = sections_[i];
      if (section.type == SHT_NULL) continue;
      const auto its_name = NameAt(section.name);
      if (!its_name) {
        return Fail(
            Code::kInvalidArgument,
            fmt::format("has a section ({}) whose name lies outside of the table of names", i));
      }
      if (*its_name != name) continue;
      if (found != nullptr)
        return Fail(Code::kInvalidArgument, fmt::format("has two sections {}", name));
      found = &section;
    }
    if (found == nullptr) return Fail(Code::kNotFound, fmt::format("has no section {}", name));
    return *found;
  }

  Status ReadBytes(std::string_view name, const SectionHeader& section, size_t max_bytes,
                   std::string* bytes) {
    if (section.type == SHT_NOBITS) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("has a section {} without bytes in the file", name));
    }
    if ((section.flags & SHF_COMPRESSED) != 0) {
      return Fail(Code::kUnsupported, fmt::format("has a compressed section {}", name));
    }
    if (section.size > max_bytes) {
      return Fail(Code::kResourceExhausted,
                  fmt::format("has a section {} of {} bytes; at most {} are read", name,
                              section.size, max_bytes));
    }
    if (section.size == 0)
      return Fail(Code::kInvalidArgument, fmt::format("has an empty section {}", name));
    bytes->resize(section.size);
    return ReadRange(section.offset, section.size, bytes->data(),
                     fmt::format("the section {}", name));
  }

  const ByteSource& file_;
  int bits_ = 64;
  Header header_;
  std::vector<SectionHeader> sections_;
  std::string names_;
};

constexpr uint16_t kOwnMachine =
#if defined(__x86_64__)
    EM_X86_64;
#elif defined(__aarch64__)
    EM_AARCH64;
#elif defined(__riscv)
    EM_RISCV;
#else
    EM_NONE;  // Left to the dynamic linker.
#endif

std::string MachineName(uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "AArch64";
    case EM_386:
      return "x86";
    case EM_ARM:
      return "ARM";
    case EM_RISCV:
      return "RISC-V";
    default:
      return fmt::format("ELF machine {}", machine);
  }
}

}  // namespace

Result<ElfSection> ReadElfSection(const ByteSource& file, std::string_view name, size_t max_bytes) {
  return Reader(file).Read(name, max_bytes);
}

Result<ElfSection> ReadElfSection(const std::string& path, std::string_view name,
                                  size_t max_bytes) {
  auto file = OpenRegularFile(path);
  if (!file) return tl::unexpected(std::move(file).error());
  return ReadElfSection(*file, name, max_bytes);
}

Status CheckElfTarget(const ElfSection& section) {
  constexpr int kOwnBits = 8 * sizeof(void*);
  if (section.bits != kOwnBits) {
    return Fail(Code::kUnsupported, fmt::format("is a {}-bit library; this is a {}-bit program",
                                                section.bits, kOwnBits));
  }
  if (kOwnMachine != EM_NONE && section.machine != kOwnMachine) {
    return Fail(Code::kUnsupported,
                fmt::format("was built for {}; this machine is {}", MachineName(section.machine),
                            MachineName(kOwnMachine)));
  }
  return {};
}

Result<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  auto file = OpenRegularFile(path);
  if (!file) return tl::unexpected(std::move(file).error());
  if (file->size() > max_bytes) {
    return Fail(Code::kResourceExhausted,
                fmt::format("has {} bytes; at most {} are read", file->size(), max_bytes));
  }
  std::string bytes(file->size(), '\0');
  SLUICE_RETURN_IF_ERROR(file->Read(0, bytes));
  return bytes;
}

}  // namespace sluice::plugin
