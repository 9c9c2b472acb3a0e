#include <benchmark/benchmark.h>

#include "crypto/secret.h"
#include "identity/identity_testing.h"
#include "identity/token_cache.h"

namespace netmesh::identity {
namespace {

void verify_token(benchmark::State& state) {
  crypto::initialize();
  const PermissionToken token = testing::spec_token();
  for (auto _ : state) benchmark::DoNotOptimize(token.verify());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(verify_token);

/// A check against a cache of 10 000 subjects, in an order that defeats the processor's caches.
void check_cached_token(benchmark::State& state) {
  crypto::initialize();
  constexpr std::size_t kSubjects = 10'000;
  TokenCache cache({.skew_seconds = 60, .hash_seed = 42});
  testing::SeededRandom random(1);
  const crypto::SigningKey issuer = testing::spec_issuer();
  std::vector<EntityId> subjects(kSubjects);
  for (EntityId& subject : subjects) {
    random.fill(subject);
    const TokenGrant grant{subject, kScopeSubscribe, 5, 1000, 0};
    cache.insert(issue_token(issuer, grant, testing::kStart, 1).value(), testing::kStart).value();
  }
  std::size_t at = 0;
  for (auto _ : state) {
    at = (at + 7919) % kSubjects;
    benchmark::DoNotOptimize(cache.check(subjects[at], kScopeSubscribe, 5, testing::kStart));
  }
}
BENCHMARK(check_cached_token);

}  // namespace
}  // namespace netmesh::identity
