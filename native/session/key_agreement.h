#pragma once
// A fresh key agreement inside a running session: two ephemeral keys, each signed by its sender's
// identity (docs/protocol.md "Keys in use").

#include <optional>

#include "base/random.h"
#include "crypto/curve.h"
#include "crypto/secret.h"
#include "identity/entity.h"
#include "wire/frames.h"

namespace netmesh::session {

/// What both signatures refer to: one exchange of one session.
struct AgreementBinding {
  crypto::Key handshake_hash{};
  std::uint64_t generation = 0;
};

/// The side that asks. Forgets its ephemeral secret with its end.
class KeyAgreement {
 public:
  KeyAgreement(const identity::LocalIdentity& identity, const AgreementBinding& binding,
               RandomSource& random);

  const wire::RekeyFrame& frame() const { return frame_; }
  std::uint64_t generation() const { return binding_.generation; }
  /// The secret that both know now; nothing when the reply is not signed by `peer`.
  std::optional<crypto::SecretKey> finish(const crypto::Key& peer,
                                          const wire::RekeyFrame& reply) const;

 private:
  AgreementBinding binding_;
  crypto::X25519KeyPair ephemeral_;
  wire::RekeyFrame frame_;
};

/// The side that answers.
struct AgreementAnswer {
  wire::RekeyFrame reply;
  crypto::SecretKey agreed;
};
/// Nothing when the request is not signed by `peer` or its key is not usable.
std::optional<AgreementAnswer> answer_agreement(const identity::LocalIdentity& identity,
                                                const crypto::Key& peer,
                                                const AgreementBinding& binding,
                                                const wire::RekeyFrame& request,
                                                RandomSource& random);

}  // namespace netmesh::session
