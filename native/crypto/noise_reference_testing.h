#pragma once
// A second, slow NKpsk0, written straight from the definitions of the Noise specification (revision
// 34) on library primitives, sharing no code with crypto/noise.cc: what the tests compare against.

#include <blake2.h>
#include <sodium.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace netmesh::crypto::testing::reference {

using Octets = std::vector<std::uint8_t>;

inline Octets operator+(Octets a, const Octets& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline void require(bool condition) {
  if (!condition) throw std::runtime_error("reference Noise: failure");
}

// §4.1-4.3: DH, cipher and hash functions.
inline Octets hash(const Octets& data) {
  Octets digest(32);
  require(::blake2s(digest.data(), data.data(), nullptr, 32, data.size(), 0) == 0);
  return digest;
}
inline Octets hmac(Octets key, const Octets& data) {  // RFC 2104, keys of 32 bytes
  key.resize(64);
  Octets ipad, opad;
  for (const std::uint8_t b : key) {
    ipad.push_back(b ^ 0x36);
    opad.push_back(b ^ 0x5C);
  }
  return hash(opad + hash(ipad + data));
}
inline std::vector<Octets> hkdf(const Octets& chaining_key, const Octets& input_key_material,
                                int num_outputs) {
  const Octets temp_key = hmac(chaining_key, input_key_material);
  std::vector<Octets> outputs;
  Octets previous;
  for (int i = 1; i <= num_outputs; ++i) {
    previous = hmac(temp_key, previous + Octets{static_cast<std::uint8_t>(i)});
    outputs.push_back(previous);
  }
  return outputs;
}
inline Octets public_of(const Octets& secret) {
  Octets out(32);
  crypto_scalarmult_base(out.data(), secret.data());
  return out;
}
inline Octets dh(const Octets& secret, const Octets& public_key) {
  Octets out(32);
  require(crypto_scalarmult(out.data(), secret.data(), public_key.data()) == 0);
  return out;
}

// §5.1
struct CipherState {
  Octets k;
  std::uint64_t n = 0;

  void initialize_key(Octets key) {
    k = std::move(key);
    n = 0;
  }
  Octets nonce() const {
    Octets out(12);
    for (unsigned i = 0; i < 8; ++i) out[4 + i] = static_cast<std::uint8_t>(n >> (8 * i));
    return out;
  }
  Octets encrypt_with_ad(const Octets& ad, const Octets& plaintext) {
    if (k.empty()) return plaintext;
    Octets out(plaintext.size() + 16);
    crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(),
                                              plaintext.size(), ad.data(), ad.size(), nullptr,
                                              nonce().data(), k.data());
    ++n;
    return out;
  }
  Octets decrypt_with_ad(const Octets& ad, const Octets& ciphertext) {
    if (k.empty()) return ciphertext;
    require(ciphertext.size() >= 16);
    Octets out(ciphertext.size());  // never empty, whatever the plaintext
    require(crypto_aead_chacha20poly1305_ietf_decrypt(
                out.data(), nullptr, nullptr, ciphertext.data(), ciphertext.size(), ad.data(),
                ad.size(), nonce().data(), k.data()) == 0);
    out.resize(ciphertext.size() - 16);
    ++n;
    return out;
  }
};

// §5.2
struct SymmetricState {
  CipherState cipher;
  Octets ck, h;

  void initialize_symmetric(const std::string& protocol_name) {
    Octets name(protocol_name.begin(), protocol_name.end());
    if (name.size() <= 32) {
      name.resize(32);
      h = name;
    } else {
      h = hash(name);
    }
    ck = h;
    cipher.initialize_key({});
  }
  void mix_key(const Octets& input) {
    const auto out = hkdf(ck, input, 2);
    ck = out[0];
    cipher.initialize_key(out[1]);
  }
  void mix_hash(const Octets& data) { h = hash(h + data); }
  void mix_key_and_hash(const Octets& input) {
    const auto out = hkdf(ck, input, 3);
    ck = out[0];
    mix_hash(out[1]);
    cipher.initialize_key(out[2]);
  }
  Octets encrypt_and_hash(const Octets& plaintext) {
    Octets out = cipher.encrypt_with_ad(h, plaintext);
    mix_hash(out);
    return out;
  }
  Octets decrypt_and_hash(const Octets& ciphertext) {
    Octets out = cipher.decrypt_with_ad(h, ciphertext);
    mix_hash(ciphertext);
    return out;
  }
  std::pair<Octets, Octets> split() const {
    const auto out = hkdf(ck, {}, 2);
    return {out[0], out[1]};
  }
};

// §5.3, with the PSK rules of §9
enum class Token { e, s, ee, es, se, ss, psk };

struct HandshakeState {
  SymmetricState symmetric;
  Octets s, e, rs, re, psk;  // s and e are secrets; rs and re public keys
  bool initiator = false;
  std::vector<std::vector<Token>> message_patterns;
  Octets hash_before_payload;  // not of the specification: what our payloads sign

  /// NKpsk0:  <- s ...  -> psk, e, es   <- e, ee
  void initialize(bool is_initiator, const Octets& prologue, Octets static_secret,
                  Octets ephemeral_secret, Octets remote_static, Octets shared_psk) {
    symmetric.initialize_symmetric("Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s");
    symmetric.mix_hash(prologue);
    initiator = is_initiator;
    s = std::move(static_secret);
    e = std::move(ephemeral_secret);
    rs = std::move(remote_static);
    psk = std::move(shared_psk);
    symmetric.mix_hash(initiator ? rs : public_of(s));
    message_patterns = {{Token::psk, Token::e, Token::es}, {Token::e, Token::ee}};
  }

  Octets write_message(const Octets& payload) {
    Octets buffer;
    for (const Token token : next_pattern()) {
      if (token == Token::e) {
        buffer = buffer + public_of(e);
        symmetric.mix_hash(public_of(e));
        symmetric.mix_key(public_of(e));  // §9.2: because the pattern has a psk
      } else {
        mix_shared(token);
      }
    }
    hash_before_payload = symmetric.h;
    return buffer + symmetric.encrypt_and_hash(payload);
  }

  Octets read_message(const Octets& message) {
    std::size_t at = 0;
    for (const Token token : next_pattern()) {
      if (token == Token::e) {
        require(message.size() >= 32);
        re.assign(message.begin(), message.begin() + 32);
        at = 32;
        symmetric.mix_hash(re);
        symmetric.mix_key(re);
      } else {
        mix_shared(token);
      }
    }
    hash_before_payload = symmetric.h;
    return symmetric.decrypt_and_hash(
        Octets(message.begin() + static_cast<std::ptrdiff_t>(at), message.end()));
  }

 private:
  std::vector<Token> next_pattern() {
    std::vector<Token> pattern = message_patterns.front();
    message_patterns.erase(message_patterns.begin());
    return pattern;
  }
  void mix_shared(Token token) {
    switch (token) {
      case Token::ee:
        symmetric.mix_key(dh(e, re));
        break;
      case Token::es:
        symmetric.mix_key(initiator ? dh(e, rs) : dh(s, re));
        break;
      case Token::psk:
        symmetric.mix_key_and_hash(psk);
        break;
      default:
        require(false);  // not in this pattern
    }
  }
};

}  // namespace netmesh::crypto::testing::reference
