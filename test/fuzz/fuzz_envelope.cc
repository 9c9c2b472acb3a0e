// Identity envelopes: no input opens but the one that was sealed, changed nowhere.

#include "crypto/secret.h"
#include "fuzz.h"
#include "identity/envelope.h"

using namespace netmesh;
using namespace netmesh::identity;

namespace {

class Sevens final : public RandomSource {
 public:
  void fill(MutableByteSpan out) override { std::fill(out.begin(), out.end(), std::byte{7}); }
};

/// An envelope and who may open it; the seeds of the corpus come from it.
struct World {
  World()
      : daemon((crypto::initialize(), crypto::SigningKey::from_seed(filled(0x42)))),
        target(crypto::X25519KeyPair::from_secret(filled(0x11))),
        link(filled(0x22)) {
    Sevens sevens;
    envelope = seal_identity(daemon, target.public_key, link, sevens).value();
  }
  static crypto::Key filled(unsigned byte) {
    crypto::Key key;
    key.fill(static_cast<std::byte>(byte));
    return key;
  }

  crypto::SigningKey daemon;
  crypto::X25519KeyPair target;
  std::array<std::byte, kCausalLinkBytes> link;
  Envelope envelope{};
};

const World& world() {
  static const World shared;
  return shared;
}

void check(ByteSpan bytes) {
  const World& w = world();
  const auto opened = open_identity(bytes, w.target, w.link);
  FUZZ_CHECK(opened.has_value() == fuzz::equal(bytes, w.envelope));
  if (opened) FUZZ_CHECK(fuzz::equal(opened->seed(), w.daemon.seed()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input = fuzz::input_bytes(data, size);
  check(input);
  // The input as changes to a good envelope: this leads past the signature, which does not cover
  // the sealed seed.
  Envelope changed = world().envelope;
  for (std::size_t i = 0; i + 1 < input.size(); i += 2)
    changed[static_cast<std::size_t>(input[i]) % kEnvelopeBytes] ^= input[i + 1];
  check(changed);
  return 0;
}
