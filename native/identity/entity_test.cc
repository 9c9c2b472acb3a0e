#include "identity/entity.h"

#include <gtest/gtest.h>

#include "base/hex.h"

namespace netmesh::identity {
namespace {

crypto::Key repeated(unsigned byte) {
  crypto::Key key;
  key.fill(static_cast<std::byte>(byte));
  return key;
}

TEST(LocalIdentity, MatchesTheVectorsOfTheSpecification) {
  const LocalIdentity a = LocalIdentity::from_seed(repeated(0x42));
  EXPECT_EQ(to_hex(a.entity_id()),
            "2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12");
  EXPECT_EQ(a.node_id, NodeId(0xc211b9fddfaef86d));
  EXPECT_EQ(a.node_id.value, 13984162817992751213u);
  EXPECT_EQ(routing_id(a.node_id), 0xdfaef86du);
  EXPECT_EQ(a.origin_hash, 0xc162c80da6be3de4u);

  const LocalIdentity b = LocalIdentity::from_seed(repeated(0x00));
  EXPECT_EQ(to_hex(b.entity_id()),
            "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29");
  EXPECT_EQ(b.node_id, NodeId(0x2a22743fee3e433d));
  EXPECT_EQ(b.node_id.value, 3036116916729955133u);
  EXPECT_EQ(b.origin_hash, 0x87482e2f287f5d52u);
}

TEST(LocalIdentity, KeepsItsNoiseKeyAcrossRestarts) {
  const LocalIdentity identity = LocalIdentity::from_seed(repeated(0x42));
  // Python: hashlib.blake2s(b"netmesh-noise-static-v1", key=bytes([0x42]) * 32)
  EXPECT_EQ(to_hex(identity.noise_static.secret.bytes()),
            "15546ccac3b7ec27a9c8778d52f8edf01d34f4d939665bdcc69bdab8b40477bd");
  EXPECT_EQ(identity.noise_static.public_key, derive_noise_static(repeated(0x42)).public_key);
  EXPECT_NE(identity.noise_static.public_key, derive_noise_static(repeated(0x43)).public_key);
}

TEST(LocalIdentity, SignsUnderItsEntityId) {
  const LocalIdentity identity = LocalIdentity::from_seed(repeated(0x42));
  const crypto::Signature signature = identity.signing_key.sign(as_byte_span("hello"));
  EXPECT_TRUE(crypto::verify_signature(identity.entity_id(), as_byte_span("hello"), signature));
}

}  // namespace
}  // namespace netmesh::identity
