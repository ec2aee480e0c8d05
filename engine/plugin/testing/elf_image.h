#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sluice::plugin::testing {

/// The least that an ELF shared library with sections is made of: headers and
/// section bytes, no code. Fields are public so that tests can break them.
template <typename Ehdr, typename Shdr>
struct ElfImage {
  Ehdr header{};
  std::vector<Shdr> sections;  // [0] is the null section, [1] the names.
  std::vector<std::string> contents;
  std::string names;

  ElfImage() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = std::is_same_v<Ehdr, Elf64_Ehdr> ? ELFCLASS64 : ELFCLASS32;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_DYN;
    header.e_machine = kMachine;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof(Ehdr);
    header.e_shentsize = sizeof(Shdr);
    header.e_shstrndx = 1;
    names.push_back('\0');
    sections.emplace_back();
    contents.emplace_back();
    Add(".shstrtab", "", SHT_STRTAB);
  }

  Shdr& Add(std::string_view name, std::string_view bytes, uint32_t type = SHT_PROGBITS) {
    Shdr section{};
    section.sh_name = static_cast<uint32_t>(names.size());
    section.sh_type = type;
    names.append(name).push_back('\0');
    sections.push_back(section);
    contents.emplace_back(bytes);
    return sections.back();
  }

  /// Lays everything out: header, contents, section headers.
  void Finish() {
    contents[1] = names;
    uint64_t offset = sizeof(Ehdr);
    for (size_t i = 1; i < sections.size(); ++i) {
      sections[i].sh_offset = static_cast<decltype(Shdr::sh_offset)>(offset);
      sections[i].sh_size = static_cast<decltype(Shdr::sh_size)>(contents[i].size());
      offset += contents[i].size();
    }
    header.e_shoff = static_cast<decltype(Ehdr::e_shoff)>(offset);
    header.e_shnum = static_cast<uint16_t>(sections.size());
  }

  /// The file, with the headers as they are now.
  std::string Bytes() const {
    std::string file(reinterpret_cast<const char*>(&header), sizeof header);
    for (size_t i = 1; i < contents.size(); ++i) file += contents[i];
    file.append(reinterpret_cast<const char*>(sections.data()), sections.size() * sizeof(Shdr));
    return file;
  }

#if defined(__aarch64__)
  static constexpr uint16_t kMachine = EM_AARCH64;
#elif defined(__riscv)
  static constexpr uint16_t kMachine = EM_RISCV;
#else
  static constexpr uint16_t kMachine = EM_X86_64;
#endif
};

using Elf64Image = ElfImage<Elf64_Ehdr, Elf64_Shdr>;
using Elf32Image = ElfImage<Elf32_Ehdr, Elf32_Shdr>;

/// A library that says `manifest` of itself.
inline std::string LibraryWithManifest(std::string_view manifest) {
  Elf64Image image;
  image.Add(".text", "\x90\x90");
  image.Add(".sluice.manifest", manifest);
  image.Finish();
  return image.Bytes();
}

}  // namespace sluice::plugin::testing
