#include "redex/redex_testing.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace netmesh::redex::testing {

std::vector<std::string> all_payloads(const File& file) {
  EventBatch batch;
  file.read_range(0, ~std::uint64_t{0}, batch);
  return payloads(batch);
}

TemporaryDirectory::TemporaryDirectory() {
  // Syncing a real disk thousands of times takes minutes; what it proves is for the simulated one.
  std::error_code ignored;
  const bool memory = std::filesystem::is_directory("/dev/shm", ignored);
  const std::filesystem::path parent =
      memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
  std::string name = (parent / "redex-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string from_digits(const std::string& digits) {
  std::string out;
  std::string pair;
  for (const char c : digits) {
    if (c == ' ') continue;
    pair += c;
    if (pair.size() < 2) continue;
    out += static_cast<char>(std::stoi(pair, nullptr, 16));
    pair.clear();
  }
  return out;
}

namespace {

template <typename T>
std::string little_endian(T value) {
  std::string out;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  return out;
}

}  // namespace

std::string record_bytes(std::uint64_t seq, std::uint32_t offset, std::uint32_t length,
                         std::uint32_t flags_and_checksum) {
  return little_endian(seq) + little_endian(offset) + little_endian(length) +
         little_endian(flags_and_checksum);
}

std::string u64_bytes(std::uint64_t value) { return little_endian(value); }

}  // namespace netmesh::redex::testing
