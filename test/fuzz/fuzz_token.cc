// Tokens and chains: what parses is written back byte for byte, and no input is taken for valid.

#include "fuzz.h"
#include "identity/token_chain.h"

using namespace netmesh;
using namespace netmesh::identity;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input = fuzz::input_bytes(data, size);

  const auto token = PermissionToken::parse(input);
  FUZZ_CHECK(token.has_value() == (size == kTokenBytes));
  if (token) FUZZ_CHECK(fuzz::equal(token->encode(), input));

  const auto chain = TokenChain::parse(input);
  if (!chain) return 0;
  FUZZ_CHECK(!chain->links().empty() && chain->links().size() <= TokenChain::kMaxLinks);
  const Bytes written = chain->encode();
  FUZZ_CHECK(
      fuzz::equal(size == kTokenBytes ? ByteSpan(written).subspan(1) : ByteSpan(written), input));

  // Nobody trusts a root of all ones, and nobody can have signed as one.
  EntityId root;
  root.fill(std::byte{0xFF});
  TokenChain::Question question;
  question.action = kScopeSubscribe;
  question.presenter = chain->links().back().subject;
  question.channel = chain->links().front().channel_hash;
  question.roots = {&root, 1};
  FUZZ_CHECK(!chain->verify(question, chain->links().front().not_before));
  return 0;
}
