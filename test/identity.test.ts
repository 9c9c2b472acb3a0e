import { createPublicKey, verify } from 'node:crypto';
import { inspect } from 'node:util';

import fc from 'fast-check';
import {
  Identity,
  IdentityError,
  Token,
  TokenChain,
  TokenError,
  type TokenErrorKind,
  type TokenScope,
  channelHash,
  delegateToken,
} from 'netmesh';
import * as core from 'netmesh/core';
import * as module from 'netmesh/identity';

const ISSUER_SEED = Buffer.alloc(32, 0x42);
const SUBJECT_SEED = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
/** Spec 30 §2.4. */
const SPEC_TOKEN = Buffer.from(
  '2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12' +
    '03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8' +
    '020000002d1707f34e4377e40000000000f15365000000002cf2536500000000008877665544332211' +
    '12e4121d376eace53ad81dffcaec0cf021fdd8d2978f3c3dd5f35ce692608a98' +
    '6ed9697d827adbfb48752de35557bc4488bd3ae78ff5356d773ee680c879bc05',
  'hex',
);

/** An error with what the classes of this area add. */
type Failure = Error & { code?: string; kind?: TokenErrorKind };

function caught(call: () => unknown): Failure {
  try {
    call();
  } catch (error) {
    return error as Failure;
  }
  throw new Error('nothing was thrown');
}

function tokenFailure(call: () => unknown): TokenErrorKind | undefined {
  const error = caught(call);
  expect(error).toBeInstanceOf(TokenError);
  expect(error.code).toBe('ERR_NETMESH_TOKEN');
  return error.kind;
}

function identityFailure(call: () => unknown): string {
  const error = caught(call);
  expect(error).toBeInstanceOf(IdentityError);
  expect(error.code).toBe('ERR_NETMESH_IDENTITY');
  return error.message;
}

const grantee = Identity.fromSeed(SUBJECT_SEED);
const issuer = Identity.fromSeed(ISSUER_SEED);

function issue(scope: TokenScope[], delegationDepth = 0, channel = 'sensors/temp'): Token {
  const subject = grantee.entityId;
  return issuer.issueToken({ subject, scope, channel, ttlSeconds: 300, delegationDepth });
}

describe('an identity', () => {
  test('has the numbers of the specification', () => {
    expect(issuer.entityId.toString('hex')).toBe(
      '2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12',
    );
    expect(issuer.originHash).toBe(13934920157995351524n);
    expect(issuer.nodeId).toBe(13984162817992751213n);
    expect(grantee.originHash).toBe(8658788451821909695n);
    expect(grantee.nodeId).toBe(13655593967979566325n);
  });

  test('comes back from its bytes', () => {
    const identity = Identity.generate();
    expect(Identity.fromBytes(identity.toBytes()).entityId).toEqual(identity.entityId);
    expect(identity.toBytes()).toHaveLength(32);
    expect(Identity.generate().nodeId).not.toBe(identity.nodeId);
  });

  test('hands out copies', () => {
    const identity = Identity.fromSeed(ISSUER_SEED);
    identity.entityId.fill(0);
    identity.toBytes().fill(0);
    expect(identity.toBytes()).toEqual(ISSUER_SEED);
    expect(identity.entityId).toEqual(issuer.entityId);
  });

  test('keeps no reference to the seed that it was given', () => {
    const seed = Buffer.from(SUBJECT_SEED);
    const identity = Identity.fromSeed(seed);
    seed.fill(0);
    expect(identity.toBytes()).toEqual(SUBJECT_SEED);
  });

  test('signs so that an independent implementation verifies', () => {
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), issuer.entityId]);
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (message) => {
        const signature = issuer.sign(message);
        return signature.length === 64 && verify(null, message, key, signature);
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    [Buffer.alloc(0), '0'],
    [Buffer.alloc(31), '31'],
    [new Uint8Array(33), '33'],
    ['42'.repeat(32), 'a string of 64 characters'],
    [undefined, 'undefined'],
    [null, 'null'],
    [[1, 2], 'an array'],
  ])('is not made of the seed %p', (seed, got) => {
    expect(identityFailure(() => Identity.fromSeed(seed as Buffer))).toBe(
      `seed must be 32 bytes, got ${got}`,
    );
    expect(identityFailure(() => Identity.fromBytes(seed as Buffer))).toContain('32 bytes');
  });

  test('cannot be constructed', () => {
    const Class = Identity as unknown as new () => Identity;
    expect(() => new Class()).toThrow(TypeError);
  });

  test('wraps the one of netmesh/core and is the same', () => {
    const inner = core.Identity.fromSeed(ISSUER_SEED);
    const outer = Identity.fromNapi(inner);
    expect(outer.toNapi()).toBe(inner);
    outer.installToken(issue(['publish']));
    expect(inner.tokenCacheLen).toBe(1);
    expect(identityFailure(() => Identity.fromNapi(Object() as core.Identity))).toContain(
      'netmesh/core',
    );
  });
});

describe('a disposed identity', () => {
  test('knows who it is and refuses to sign', () => {
    const identity = Identity.fromSeed(ISSUER_SEED);
    identity.dispose();
    identity[Symbol.dispose]();
    expect(identity.disposed).toBe(true);
    expect(identity.nodeId).toBe(issuer.nodeId);
    const gone = 'the identity was disposed and holds no secret any more';
    expect(identityFailure(() => identity.toBytes())).toBe(gone);
    expect(identityFailure(() => identity.sign(Buffer.from('x')))).toBe(gone);
    const subject = grantee.entityId;
    const error = caught(() =>
      identity.issueToken({ subject, scope: ['publish'], channel: 'a', ttlSeconds: 1 }),
    );
    expect([error.kind, error.message]).toEqual(['invalid_format', 'token: read_only']);
  });
});

test('no secret shows in inspect, JSON or errors', () => {
  const seed = Buffer.from(
    '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',
    'hex',
  );
  const identity = Identity.fromSeed(seed);
  const inspected = inspect([identity, identity.toNapi()], { depth: 10, showHidden: true });
  expect(inspected).toContain(identity.entityId.toString('hex'));
  for (const text of [inspected, JSON.stringify(identity)]) {
    expect(text).not.toContain('00112233');
    expect(text).not.toContain('0,17,34');
  }
  const tooLong = Buffer.concat([seed, seed]);
  expect(identityFailure(() => Identity.fromSeed(tooLong))).toBe('seed must be 32 bytes, got 64');
});

describe('a token', () => {
  test('has the fields of the specification', () => {
    const token = Token.parse(SPEC_TOKEN);
    expect(token.bytes).toBe(SPEC_TOKEN);
    expect(token.toBuffer()).toBe(SPEC_TOKEN);
    expect(token.issuer).toEqual(issuer.entityId);
    expect(token.subject).toEqual(grantee.entityId);
    expect([...token.scope]).toEqual(['subscribe']);
    expect(token.channelHash).toBe(0xe477434ef307172dn);
    expect(token.notBefore).toEqual(new Date(1_700_000_000_000));
    expect(token.notAfter).toEqual(new Date(1_700_000_300_000));
    expect(token.delegationDepth).toBe(0);
    expect(token.nonce).toBe(0x1122334455667788n);
    expect(token.verify()).toBe(true);
    expect(token.isExpired()).toBe(true);
  });

  test('is issued for as long as it was asked, from now on', () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    const token = issue(['delegate', 'publish'], 3);
    expect(token.notBefore.getTime()).toBeGreaterThanOrEqual(before);
    expect(token.notBefore.getTime()).toBeLessThanOrEqual(Date.now());
    expect(token.notAfter.getTime() - token.notBefore.getTime()).toBe(300_000);
    expect([...token.scope]).toEqual(['publish', 'delegate']);
    expect(token.delegationDepth).toBe(3);
    expect(token.channelHash).toBe(channelHash('sensors/temp'));
    expect(token.verify()).toBe(true);
    expect(token.isExpired()).toBe(false);
    expect(token.bytes).toHaveLength(169);
    expect(issue(['publish']).nonce).not.toBe(issue(['publish']).nonce);
  });

  test('of any other length than 169 bytes is none', () => {
    for (let size = 0; size < 169; size++) {
      const cut = SPEC_TOKEN.subarray(0, size);
      expect(tokenFailure(() => Token.parse(cut))).toBe('invalid_format');
      expect(() => core.verifyToken(cut)).toThrow('token: invalid_format');
      expect(() => core.tokenIsExpired(cut)).toThrow('token: invalid_format');
    }
    expect(tokenFailure(() => Token.parse(Buffer.alloc(170)))).toBe('invalid_format');
    for (const value of [undefined, null, 'x', 5, {}, [1]]) {
      expect(tokenFailure(() => Token.parse(value as Buffer))).toBe('invalid_format');
    }
  });

  test('keeps every byte and never verifies when one was changed', () => {
    fc.assert(
      fc.property(fc.nat(168), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(SPEC_TOKEN);
        damaged[at]! ^= flip;
        const token = Token.parse(damaged);
        return token.bytes.equals(damaged) && !token.verify();
      }),
    );
  });

  test('lists no scope without a word, and a far end as the last date', () => {
    const bytes = Buffer.from(SPEC_TOKEN);
    bytes.writeUInt32LE(0xffff_fff0, 64);
    bytes.fill(0xff, 88, 96);
    const token = Token.parse(bytes);
    expect(token.scope.size).toBe(0);
    expect(token.notAfter).toEqual(new Date(8.64e15));
  });

  test('may be a view of bytes in any Uint8Array', () => {
    const memory = new Uint8Array(200);
    memory.set(SPEC_TOKEN, 7);
    expect(Token.parse(memory.subarray(7, 176)).verify()).toBe(true);
  });
});

describe('issueToken refuses', () => {
  const good = { subject: grantee.entityId, scope: ['publish'], channel: 'a', ttlSeconds: 1 };
  const attempt = (extra: object) => (): Token => issuer.issueToken({ ...good, ...extra } as never);

  const cyclic: unknown[] = [];
  cyclic.push(cyclic);

  test.each([
    [{ scope: ['x'] }, 'unknown scope "x"'],
    [{ scope: ['publish', 'wildcard'] }, 'unknown scope "wildcard"'],
    [{ scope: [undefined] }, 'unknown scope undefined'],
    [{ scope: [5n] }, 'unknown scope bigint 5n'],
    [{ scope: [cyclic] }, 'unknown scope an array'],
    [{ scope: 'publish' }, 'scope must be an array of scopes; got "publish"'],
    [{ subject: Buffer.alloc(5) }, 'entity_id must be 32 bytes, got 5'],
    [{ subject: 'me' }, 'entity_id must be 32 bytes, got "me"'],
    [{ channel: '' }, 'invalid channel name: channel name is empty'],
    [
      { channel: '/a' },
      "invalid channel name: invalid channel name format: must not start or end with '/'",
    ],
    [{ channel: 'a'.repeat(256) }, 'invalid channel name: channel name too long (256 > 255)'],
    [{ channel: 'a b' }, "invalid channel name: invalid character ' ' in channel name"],
    [{ channel: 5 }, 'invalid channel name: expected a string, got number 5'],
    [{ ttlSeconds: -1 }, 'ttlSeconds must be an integer in [0, 4294967295]; got number -1'],
    [{ ttlSeconds: 0.5 }, 'ttlSeconds must be an integer in [0, 4294967295]; got number 0.5'],
    [{ ttlSeconds: NaN }, 'ttlSeconds must be an integer in [0, 4294967295]; got number NaN'],
    [
      { ttlSeconds: 2 ** 32 },
      'ttlSeconds must be an integer in [0, 4294967295]; got number 4294967296',
    ],
    [{ delegationDepth: 256 }, 'delegationDepth must be an integer in [0, 255]; got number 256'],
    [{ delegationDepth: '1' }, 'delegationDepth must be an integer in [0, 255]; got "1"'],
  ])('%p', (extra, message) => {
    expect(identityFailure(attempt(extra))).toBe(message);
  });

  test('a lifetime of zero, under its documented kind', () => {
    const error = caught(attempt({ ttlSeconds: 0 }));
    expect(error).toBeInstanceOf(TokenError);
    expect([error.kind, error.message]).toEqual(['invalid_format', 'token: zero_ttl']);
  });

  test('what is no options object', () => {
    for (const value of [undefined, null, 5]) {
      expect(identityFailure(() => issuer.issueToken(value as never))).toMatch(/^options must be/);
    }
  });
});

describe('the token cache', () => {
  test('finds what was installed, and nothing else', () => {
    const holder = Identity.generate();
    const token = issue(['subscribe']);
    expect(holder.lookupToken(grantee.entityId, 'sensors/temp')).toBeNull();
    holder.installToken(token);
    holder.installToken(token.bytes);
    expect(holder.tokenCacheLen).toBe(1);
    expect(holder.lookupToken(grantee.entityId, 'sensors/temp')?.bytes).toEqual(token.bytes);
    expect(holder.lookupToken(grantee.entityId, 'sensors/hum')).toBeNull();
    expect(holder.lookupToken(issuer.entityId, 'sensors/temp')).toBeNull();
  });

  test('takes expired tokens, and drops them when asked', () => {
    const holder = Identity.generate();
    holder.installToken(SPEC_TOKEN);
    holder.installToken(issue(['subscribe', 'admin']));
    expect(holder.tokenCacheLen).toBe(2);
    expect([...holder.lookupToken(grantee.entityId, 'sensors/temp')!.scope]).toContain('admin');
    expect(holder.evictExpiredTokens()).toBe(1);
    expect(holder.tokenCacheLen).toBe(1);
  });

  test('refuses forged and malformed tokens', () => {
    const holder = Identity.generate();
    const forged = Buffer.from(SPEC_TOKEN);
    forged[64] = 0x0f;
    expect(
      tokenFailure(() => {
        holder.installToken(forged);
      }),
    ).toBe('invalid_signature');
    expect(
      tokenFailure(() => {
        holder.installToken(Buffer.alloc(1));
      }),
    ).toBe('invalid_format');
    expect(
      tokenFailure(() => {
        holder.installToken('x' as never);
      }),
    ).toBe('invalid_format');
    expect(holder.tokenCacheLen).toBe(0);
    expect(identityFailure(() => holder.lookupToken(Buffer.alloc(1), 'a'))).toMatch(/entity_id/);
    expect(identityFailure(() => holder.lookupToken(grantee.entityId, ''))).toMatch(/channel name/);
  });
});

describe('delegateToken', () => {
  const next = Identity.generate();
  const delegate = (parent: Token | Buffer, signer = grantee): Token =>
    delegateToken(signer, parent, next.entityId, ['publish', 'subscribe']);

  test('narrows the scope and keeps the end', () => {
    const parent = issue(['subscribe', 'admin', 'delegate'], 2);
    const child = delegate(parent);
    expect([...child.scope]).toEqual(['subscribe']);
    expect(child.issuer).toEqual(grantee.entityId);
    expect(child.subject).toEqual(next.entityId);
    expect(child.notAfter).toEqual(parent.notAfter);
    expect(child.delegationDepth).toBe(1);
    expect(child.verify()).toBe(true);
    expect(tokenFailure(() => delegateToken(next, child, issuer.entityId, ['subscribe']))).toBe(
      'delegation_not_allowed',
    );
  });

  test('says why it refuses', () => {
    const forged = Buffer.from(issue(['delegate'], 1).bytes);
    forged[168]! ^= 1;
    expect(tokenFailure(() => delegate(forged))).toBe('invalid_signature');
    expect(tokenFailure(() => delegate(SPEC_TOKEN))).toBe('expired');
    expect(tokenFailure(() => delegate(issue(['delegate'], 0)))).toBe('delegation_exhausted');
    expect(tokenFailure(() => delegate(issue(['publish'], 1)))).toBe('delegation_not_allowed');
    expect(tokenFailure(() => delegate(issue(['delegate'], 1), issuer))).toBe('not_authorized');
    expect(tokenFailure(() => delegate(Buffer.alloc(9)))).toBe('invalid_format');
    expect(
      identityFailure(() =>
        delegateToken(grantee, issue(['delegate'], 1), next.entityId, ['x' as TokenScope]),
      ),
    ).toBe('unknown scope "x"; expected publish | subscribe | admin | delegate');
    expect(
      identityFailure(() => delegateToken(Object() as Identity, SPEC_TOKEN, next.entityId, [])),
    ).toBe('signer must be an Identity; got an object');
  });
});

describe('a token chain', () => {
  const last = Identity.generate();
  const root = (): Token => issue(['subscribe', 'delegate'], 2);
  const question = {
    scope: ['subscribe'] as TokenScope[],
    channel: 'sensors/temp',
    presenter: last.entityId,
    roots: [issuer.entityId],
  };
  const chain = (): TokenChain =>
    TokenChain.of([root()]).delegate(grantee, last.entityId, ['subscribe']);

  test('lets its last subject do what every link allows', () => {
    const credential = TokenChain.parse(chain().bytes);
    expect(credential.tokens).toHaveLength(2);
    expect(credential.bytes).toHaveLength(1 + 2 * 169);
    expect(() => {
      credential.verify(question);
    }).not.toThrow();
    expect(() => {
      TokenChain.parse(root().bytes).verify({ ...question, presenter: grantee.entityId });
    }).not.toThrow();
  });

  test.each([
    ['an unknown root', { roots: [grantee.entityId] }, 'not_authorized'],
    ['no roots', { roots: [] }, 'not_authorized'],
    ['another presenter', { presenter: grantee.entityId }, 'not_authorized'],
    ['another action', { scope: ['publish'] }, 'not_authorized'],
    ['no action', { scope: [] }, 'not_authorized'],
    ['another channel', { channel: 'sensors/hum' }, 'not_authorized'],
    ['a revoked issuer', { revocations: [{ issuer: issuer.entityId, generation: 1 }] }, 'revoked'],
  ])('is refused with %s', (_name, extra, kind) => {
    expect(
      tokenFailure(() => {
        chain().verify({ ...question, ...extra } as never);
      }),
    ).toBe(kind);
  });

  test('that spans more than a year is refused', () => {
    const subject = last.entityId;
    const ttlSeconds = 366 * 24 * 3600;
    const token = issuer.issueToken({
      subject,
      scope: ['subscribe'],
      channel: 'sensors/temp',
      ttlSeconds,
    });
    expect(
      tokenFailure(() => {
        TokenChain.of([token]).verify(question);
      }),
    ).toBe('ttl_too_long');
  });

  test('is not made of malformed parts', () => {
    expect(tokenFailure(() => TokenChain.of([]))).toBe('invalid_format');
    expect(tokenFailure(() => TokenChain.of(Array.from({ length: 9 }, root)))).toBe(
      'invalid_format',
    );
    expect(tokenFailure(() => TokenChain.parse(Buffer.alloc(0)))).toBe('invalid_format');
    expect(tokenFailure(() => TokenChain.of(5 as never))).toBe('invalid_format');
    expect(
      identityFailure(() => {
        chain().verify({ ...question, roots: [Buffer.alloc(3)] });
      }),
    ).toBe('entity_id must be 32 bytes, got 3');
    expect(
      identityFailure(() => {
        chain().verify({ ...question, skewSeconds: 301 });
      }),
    ).toMatch(/^skewSeconds must be an integer in \[0, 300\]/);
  });
});

test('channel hashes are those of the specification', () => {
  expect(channelHash('sensors/temp')).toBe(0xe477434ef307172dn);
  expect(channelHash('lab/x')).toBe(0x6d5b83d90de02ee8n);
  expect(core.channelHash('events/inference')).toBe(0x5c188de0f70642e9n);
  expect(identityFailure(() => channelHash('A'))).toMatch(/^invalid channel name: /);
});

test('netmesh/core works on bytes and throws plain errors', () => {
  const identity = core.Identity.fromBytes(ISSUER_SEED);
  const bytes = identity.issueToken(grantee.entityId, ['delegate'], 'lab/x', 60, 1);
  expect(core.verifyToken(bytes)).toBe(true);
  expect(core.tokenIsExpired(bytes)).toBe(false);
  expect(core.parseToken(bytes)).toMatchObject({ scope: ['delegate'], delegationDepth: 1 });
  const child = core.delegateToken(grantee.toNapi(), bytes, issuer.entityId, ['delegate']);
  expect(core.parseToken(child).delegationDepth).toBe(0);
  expect(() => core.Identity.fromSeed(Buffer.alloc(3))).toThrow(
    'identity: seed must be 32 bytes, got 3',
  );
  expect(() => core.Identity.fromSeed(undefined as never)).toThrow('seed must be a Uint8Array');
  expect(() => core.channelHash('')).toThrow(
    'identity: invalid channel name: channel name is empty',
  );
});

test('the errors have their documented defaults', () => {
  expect(new TokenError('not_yet_valid').message).toBe('token not yet valid');
  expect(new TokenError('expired', 'x').message).toBe('x');
  expect(module.TokenError).toBe(TokenError);
  expect(module.IdentityError).toBe(IdentityError);
});
