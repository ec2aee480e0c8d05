#include "engine/plugin/elf_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "engine/plugin/testing/elf_image.h"

namespace sluice::plugin {
namespace {

using testing::Elf32Image;
using testing::Elf64Image;
using ::testing::HasSubstr;

constexpr std::string_view kName = ".sluice.manifest";
constexpr size_t kCap = 4096;

class Bytes final : public ByteSource {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  Status Read(uint64_t offset, std::span<char> out) const override {
    // The reader promises to stay inside; a copy out of bounds would hide that it does not.
    EXPECT_LE(offset, bytes_.size());
    EXPECT_LE(out.size(), bytes_.size() - offset);
    std::copy_n(bytes_.data() + offset, out.size(), out.data());
    return {};
  }

 private:
  std::string bytes_;
};

Result<ElfSection> Read(const std::string& file) {
  return ReadElfSection(Bytes(file), kName, kCap);
}

Error ErrorOf(const std::string& file) {
  const auto result = Read(file);
  return result ? Error{Code::kInternal, "no error"} : result.error();
}

Elf64Image Image() {
  Elf64Image image;
  image.Add(".text", "code");
  image.Add(kName, "sluice_manifest: 1\n");
  image.Finish();
  return image;
}

std::string TempFile(const std::string& name, const std::string& bytes) {
  const std::string path = ::testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(ElfSectionTest, ReadsTheSectionOf64BitLibraries) {
  const auto section = Read(Image().Bytes());
  ASSERT_TRUE(section) << section.error().message;
  EXPECT_EQ(section->bytes, "sluice_manifest: 1\n");
  EXPECT_EQ(section->bits, 64);
  EXPECT_TRUE(CheckElfTarget(*section));
}

TEST(ElfSectionTest, ReadsTheSectionOf32BitLibrariesAndSaysThatTheyDoNotFit) {
  Elf32Image image;
  image.Add(kName, "small");
  image.Finish();
  const auto section = Read(image.Bytes());
  ASSERT_TRUE(section) << section.error().message;
  EXPECT_EQ(section->bytes, "small");
  const auto target = CheckElfTarget(*section);
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().message, "is a 32-bit library; this is a 64-bit program");
}

TEST(ElfSectionTest, NamesBothMachinesWhenALibraryIsForAnother) {
  Elf64Image image = Image();
  image.header.e_machine = EM_S390;
  const auto section = Read(image.Bytes());
  ASSERT_TRUE(section);
  const auto target = CheckElfTarget(*section);
  ASSERT_FALSE(target);
  EXPECT_THAT(target.error().message, HasSubstr("was built for ELF machine 22; this machine is "));
}

TEST(ElfSectionTest, RefusesWhatIsNoElfFile) {
  EXPECT_EQ(ErrorOf("").message, "is not an ELF file (only 0 bytes)");
  EXPECT_EQ(ErrorOf("#!/bin/sh\nexit 0\n").message, "is not an ELF file (wrong first bytes)");
  EXPECT_EQ(ErrorOf("#!/bin/sh\nexit 0\n").code, Code::kUnsupported);
}

TEST(ElfSectionTest, RefusesOtherKindsOfElfFiles) {
  Elf64Image image = Image();
  image.header.e_type = ET_REL;
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "is an object file, not a shared library");
  image.header.e_type = ET_EXEC;
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "is an executable, not a shared library");
  image = Image();
  image.header.e_ident[EI_DATA] = ELFDATA2MSB;
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "is not a little-endian ELF file");
  image = Image();
  image.header.e_ident[EI_CLASS] = 7;
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "has the unknown ELF class 7");
}

TEST(ElfSectionTest, SaysThatTheSectionIsMissing) {
  Elf64Image image;
  image.Add(".text", "code");
  image.Finish();
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "has no section .sluice.manifest");
  EXPECT_EQ(ErrorOf(image.Bytes()).code, Code::kNotFound);
  image.header.e_shoff = 0;
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "has no sections");
}

TEST(ElfSectionTest, RefusesASectionThatLiesOutsideOfTheFile) {
  Elf64Image image = Image();
  image.sections[3].sh_offset = 1u << 20;
  EXPECT_THAT(
      ErrorOf(image.Bytes()).message,
      HasSubstr("the section .sluice.manifest at offset 1048576 with 19 bytes lies outside"));
  image = Image();
  // The sum wraps around to a small number.
  image.sections[3].sh_offset = UINT64_MAX - 4;
  EXPECT_EQ(ErrorOf(image.Bytes()).code, Code::kInvalidArgument);
}

TEST(ElfSectionTest, RefusesASectionAboveTheCapBeforeItTakesTheMemory) {
  Elf64Image image = Image();
  image.sections[3].sh_size = uint64_t{1} << 62;
  const Error error = ErrorOf(image.Bytes());
  EXPECT_EQ(error.code, Code::kResourceExhausted);
  EXPECT_THAT(error.message, HasSubstr("at most 4096 are read"));
}

TEST(ElfSectionTest, RefusesSectionsWithoutUsableBytes) {
  Elf64Image image = Image();
  image.sections[3].sh_type = SHT_NOBITS;
  EXPECT_THAT(ErrorOf(image.Bytes()).message, HasSubstr("without bytes in the file"));
  image = Image();
  image.sections[3].sh_flags = SHF_COMPRESSED;
  EXPECT_THAT(ErrorOf(image.Bytes()).message, HasSubstr("compressed"));
  image = Image();
  image.sections[3].sh_size = 0;
  EXPECT_THAT(ErrorOf(image.Bytes()).message, HasSubstr("empty section"));
}

TEST(ElfSectionTest, RefusesTwoSectionsOfTheName) {
  Elf64Image image;
  image.Add(kName, "one");
  image.Add(kName, "two");
  image.Finish();
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "has two sections .sluice.manifest");
}

TEST(ElfSectionTest, RefusesBrokenTablesOfSections) {
  Elf64Image image = Image();
  image.header.e_shentsize = 8;
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "has section headers of 8 bytes, not of 64");
  image = Image();
  image.header.e_shoff = UINT64_MAX - 8;
  EXPECT_THAT(ErrorOf(image.Bytes()).message, HasSubstr("lies outside of the file"));
  image = Image();
  image.header.e_shnum = 4000;
  EXPECT_THAT(ErrorOf(image.Bytes()).message, HasSubstr("the section header table"));
  image = Image();
  image.header.e_shstrndx = 9;
  EXPECT_EQ(ErrorOf(image.Bytes()).message, "says that section 9 of 4 holds the names");
  image = Image();
  image.header.e_shstrndx = 2;
  EXPECT_THAT(ErrorOf(image.Bytes()).message, HasSubstr("not a string table"));
  image = Image();
  image.sections[1].sh_size = uint64_t{1} << 40;
  EXPECT_EQ(ErrorOf(image.Bytes()).code, Code::kResourceExhausted);
  image = Image();
  image.sections[2].sh_name = 100000;
  EXPECT_THAT(ErrorOf(image.Bytes()).message, HasSubstr("whose name lies outside"));
}

TEST(ElfSectionTest, ReadsNumbersThatDoNotFitIntoTheHeader) {
  Elf64Image image = Image();
  image.sections[0].sh_size = image.header.e_shnum;
  image.header.e_shnum = 0;
  image.sections[0].sh_link = image.header.e_shstrndx;
  image.header.e_shstrndx = SHN_XINDEX;
  EXPECT_TRUE(Read(image.Bytes()));
  image.sections[0].sh_size = UINT64_MAX;
  EXPECT_THAT(ErrorOf(image.Bytes()).message, HasSubstr("at most 65536 are read"));
}

TEST(ElfSectionTest, NeverReadsOutsideHoweverTheFileIsCut) {
  const std::string whole = Image().Bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(Read(whole.substr(0, size))) << size;
  }
}

TEST(ElfSectionTest, NeverReadsOutsideHoweverBytesAreChanged) {
  const std::string whole = Image().Bytes();
  for (size_t place = 0; place < whole.size(); ++place) {
    for (const unsigned char byte : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string file = whole;
      file[place] = static_cast<char>(byte);
      const auto section = Read(file);  // Bytes checks each read.
      EXPECT_TRUE(!section || section->bytes.size() <= kCap);
    }
  }
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string file = whole;
    for (int i = 0; i < 8; ++i) file[random() % file.size()] = static_cast<char>(random());
    const auto section = Read(file);
    EXPECT_TRUE(!section || section->bytes.size() <= kCap);
  }
}

TEST(ElfSectionTest, ReadsItsOwnProgramsFile) {
  // A real linker's output: an executable, position-independent and so of the type of libraries.
  const auto section = ReadElfSection("/proc/self/exe", ".comment", 1 << 16);
  ASSERT_TRUE(section) << section.error().message;
  EXPECT_THAT(section->bytes, HasSubstr("GCC"));
}

TEST(ElfSectionTest, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(ReadElfSection("/dev/zero", kName, kCap).error().message, "is not a regular file");
  EXPECT_EQ(ReadElfSection(::testing::TempDir(), kName, kCap).error().message,
            "is not a regular file");
  EXPECT_EQ(ReadElfSection("/no/such/file.so", kName, kCap).error().code, Code::kNotFound);
  const std::string fifo = ::testing::TempDir() + "/elf_section_test.fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(ReadElfSection(fifo, kName, kCap).error().message, "is not a regular file");
}

TEST(ReadSmallFileTest, ReadsUpToTheCapAndNoFurther) {
  const std::string path = TempFile("small_file", "12345");
  EXPECT_EQ(ReadSmallFile(path, 5).value(), "12345");
  const auto refused = ReadSmallFile(path, 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "has 5 bytes; at most 4 are read");
}

}  // namespace
}  // namespace sluice::plugin
