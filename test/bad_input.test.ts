import fc from 'fast-check';

import { InvalidArgumentError, MeshNode, type MeshNodeConfig } from 'netmesh';
import { NetMesh } from 'netmesh/core';
import { PSK, connectedPair, createNode, rejection, startNode } from './support/nodes';

const NUMBERS = [-1, NaN, Infinity, -Infinity, '5', null, {}, [], true, 5n];

function config(extra: object): MeshNodeConfig {
  return { bindAddr: '127.0.0.1:0', psk: PSK, ...extra };
}

async function refused(options: unknown): Promise<InvalidArgumentError> {
  const error = await rejection(MeshNode.create(options as MeshNodeConfig));
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect(error.code).toBe('ERR_NETMESH_INVALID_ARGUMENT');
  return error as InvalidArgumentError;
}

describe('create refuses', () => {
  test.each([undefined, null, 5, 'x', true])('%p instead of a configuration', async (value) => {
    expect((await refused(value)).message).toMatch(/^config must be an object; got /);
  });

  test.each([
    undefined,
    null,
    5,
    '',
    'localhost:9000',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '127.0.0.1:9000 ',
    '256.0.0.1:1',
    '127.0.0.01:1',
    '127.0.1:1',
    '::1:9000',
    '[::1]',
    '[localhost]:1',
    '[127.0.0.1]:1',
    '127.0.0.1:9000x',
  ])('the bind address %p', async (bindAddr) => {
    expect((await refused({ bindAddr, psk: PSK })).message).toMatch(
      /^invalid bind address: invalid socket address syntax/,
    );
  });

  test.each([
    [undefined, /^invalid PSK hex: expected a string, got undefined$/],
    [Buffer.alloc(32), /^invalid PSK hex: expected a string, got an object$/],
    ['', /^PSK must be 32 bytes \(64 hex chars\)$/],
    ['42'.repeat(31), /^PSK must be 32 bytes \(64 hex chars\)$/],
    ['42'.repeat(33), /^PSK must be 32 bytes \(64 hex chars\)$/],
    ['42'.repeat(31) + '4', /^invalid PSK hex: odd number of digits$/],
    ['0x' + '42'.repeat(31), /^invalid PSK hex: invalid character "x" at 1$/],
    ['42'.repeat(31) + '4g', /^invalid PSK hex: invalid character "g" at 63$/],
    ['42'.repeat(31) + ' 4', /^invalid PSK hex: invalid character " " at 62$/],
  ])('the PSK %p', async (psk, message) => {
    expect((await refused({ bindAddr: '127.0.0.1:0', psk })).message).toMatch(message);
  });

  test('a PSK in no message', async () => {
    const secret = '4x'.repeat(32);
    expect((await refused(config({ psk: secret }))).message).not.toContain('4x4x');
  });

  test.each([
    [Buffer.alloc(31), '31'],
    [new Uint8Array(33), '33'],
    [Buffer.alloc(0), '0'],
    ['42'.repeat(32), 'a string of 64 characters'],
    [null, 'null'],
    [[1, 2], 'an array'],
    [new Uint16Array(16), 'an object'],
  ])('the identity seed %p', async (identitySeed, got) => {
    expect((await refused(config({ identitySeed }))).message).toBe(
      `identity_seed must be 32 bytes, got ${got}`,
    );
  });

  test.each([-1, 65_536, 1.5, NaN, Infinity])('%p shards', async (numShards) => {
    expect((await refused(config({ numShards }))).message).toBe(
      `num_shards must be in [0, 65535]; got ${numShards}`,
    );
  });

  test.each(['4', null, 4n, {}])('%p as a number of shards', async (numShards) => {
    expect((await refused(config({ numShards }))).message).toMatch(
      /^num_shards must be in \[0, 65535\]; got /,
    );
  });

  const durations = [
    'heartbeatIntervalMs',
    'sessionTimeoutMs',
    'handshakeTimeoutMs',
    'capabilityGcIntervalMs',
  ];
  test.each(durations.flatMap((name) => NUMBERS.map((value) => [name, value] as const)))(
    '%s: %p',
    async (name, value) => {
      expect((await refused(config({ [name]: value }))).message).toMatch(
        new RegExp(`^${name} must be milliseconds in \\[\\d+, \\d+\\]; got `),
      );
    },
  );

  const integers = [
    'handshakeRetries',
    'maxMessageBytes',
    'streamReceiveWindowBytes',
    'sessionReceiveWindowBytes',
    'maxQueuedBytes',
    'socketBufferBytes',
  ];
  test.each(integers.flatMap((name) => [...NUMBERS, 0.5].map((value) => [name, value] as const)))(
    '%s: %p',
    async (name, value) => {
      expect((await refused(config({ [name]: value }))).message).toMatch(
        new RegExp(`^${name} must be an integer in \\[\\d+, \\d+\\]; got `),
      );
    },
  );

  test.each([
    ['legacyPeers', 'maybe', 'legacyPeers must be one of "allow", "deny"; got "maybe"'],
    ['legacyPeers', true, 'legacyPeers must be one of "allow", "deny"; got boolean true'],
    [
      'aead',
      'rot13',
      'aead must be one of "auto", "aes-256-gcm", "chacha20-poly1305"; got "rot13"',
    ],
    ['congestion', 'reno', 'congestion must be one of "bbr", "cubic"; got "reno"'],
    ['requireSignedCapabilities', 1, 'requireSignedCapabilities must be a boolean; got number 1'],
    ['tryPortMapping', 'yes', 'tryPortMapping must be a boolean; got "yes"'],
    ['reflexOverride', 'example.org:1', /^invalid reflex_override: invalid socket address syntax/],
    ['subnet', {}, 'subnet: expected { levels: number[] }'],
    ['subnet', null, 'subnet: expected { levels: number[] }'],
    ['subnet', { levels: [] }, 'subnet: levels must have at least one entry'],
    ['subnet', { levels: [1, 2, 3, 4, 5] }, 'subnet: levels must have at most 4 entries, got 5'],
    ['subnet', { levels: [1, 256] }, 'subnet: level 1 value 256 exceeds u8 range'],
    ['subnet', { levels: [-1] }, 'subnet: level 0 value -1 exceeds u8 range'],
    ['subnetPolicy', 5, 'subnet: expected a policy { rules: SubnetRule[] }'],
    ['subnetPolicy', { rules: [{}] }, 'subnet: rule needs a string tagPrefix'],
    [
      'subnetPolicy',
      { rules: [{ tagPrefix: 'r:', level: 4, values: {} }] },
      'subnet: rule level must be 0..=3, got 4',
    ],
    [
      'subnetPolicy',
      { rules: [{ tagPrefix: 'r:', level: 256, values: {} }] },
      'subnet: rule level value 256 exceeds u8 range',
    ],
    [
      'subnetPolicy',
      { rules: [{ tagPrefix: 'r:', level: 0, values: { eu: 300 } }] },
      'subnet: rule value for eu value 300 exceeds u8 range',
    ],
    [
      'subnetPolicy',
      { rules: [{ tagPrefix: 'r:', level: 0, values: { eu: 0 } }] },
      'subnet: rule value for "eu": subnet rule level_value must be in 1..=255 (0 is reserved for unmatched levels)',
    ],
  ])('%s: %p', async (name, value, message) => {
    const error = await refused(config({ [name]: value }));
    if (typeof message === 'string') expect(error.message).toBe(message);
    else expect(error.message).toMatch(message);
  });

  test('in the low-level surface as well', async () => {
    await expect(NetMesh.create({ bindAddr: 'x', psk: PSK })).rejects.toThrow(InvalidArgumentError);
    await expect(NetMesh.create(undefined as never)).rejects.toThrow('config must be an object');
  });
});

describe('create accepts', () => {
  test('every option with a good value', async () => {
    const node = await createNode({
      psk: 'aB'.repeat(32),
      heartbeatIntervalMs: 0,
      sessionTimeoutMs: 100.5,
      handshakeTimeoutMs: 1,
      handshakeRetries: 0,
      numShards: 65_535,
      capabilityGcIntervalMs: 60_000,
      requireSignedCapabilities: true,
      subnet: { levels: [1, 0, 255] },
      subnetPolicy: { rules: [{ tagPrefix: 'region:', level: 0, values: { eu: 1 } }] },
      identitySeed: new Uint8Array(32),
      legacyPeers: 'deny',
      aead: 'auto',
      congestion: 'cubic',
      maxMessageBytes: 1024,
      streamReceiveWindowBytes: 65_536,
      sessionReceiveWindowBytes: 65_536,
      maxQueuedBytes: 65_536,
      socketBufferBytes: 1,
    });
    expect(node.nodeId()).toBe(0x2a22743fee3e433dn);
  });

  test('undefined for every optional one', async () => {
    await createNode({ numShards: undefined, identitySeed: undefined, aead: undefined });
  });
});

const IDS: Array<[unknown, RegExp]> = [
  [-1n, /^expected non-negative BigInt for \w+, got -1n$/],
  [2n ** 64n, /^BigInt value exceeds u64 range: \w+ is 18446744073709551616n$/],
  [5, /^expected non-negative BigInt for \w+, got number 5$/],
  ['5', /^expected non-negative BigInt for \w+, got "5"$/],
  [null, /^expected non-negative BigInt for \w+, got null$/],
  [undefined, /^expected non-negative BigInt for \w+, got undefined$/],
  [{}, /^expected non-negative BigInt for \w+, got an object$/],
];

describe('an id', () => {
  test.each(IDS)('%p is refused by every method that takes one', async (id, message) => {
    const node = await startNode();
    const bad = id as bigint;
    const key = '11'.repeat(32);
    const sync: Array<() => unknown> = [
      () => node.openStream(bad, { streamId: 1n }),
      () => {
        node.closeStream(bad, 1n);
      },
      () => {
        node.closeStream(1n, bad);
      },
      () => node.streamStats(bad, 1n),
      () => node.streamStats(1n, bad),
      () => node.allStreamStats(bad),
      () => {
        node.disconnect(bad);
      },
      () => {
        node.addRoute(bad, '127.0.0.1:9');
      },
      () => {
        node.removeRoute(bad);
      },
      () => node.readStream(bad, 1n),
      () => node.readStream(1n, bad),
      () => node.duplex(bad, { streamId: 1n }),
      () => node.openStream(1n, { streamId: bad }),
    ];
    for (const call of sync) {
      expect(call).toThrow(InvalidArgumentError);
      expect(call).toThrow(message);
    }
    for (const call of [
      () => node.connect('127.0.0.1:9', key, bad),
      () => node.connectVia('127.0.0.1:9', key, bad),
      () => node.accept(bad),
      () => node.send(bad, {}),
    ]) {
      const error = await rejection(call());
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error.message).toMatch(message);
    }
    expect(node.peerCount()).toBe(0);
  });

  test('0n and 2^64 - 1 are ids like any other to the conversion', async () => {
    const node = await startNode();
    expect(node.streamStats(0n, 2n ** 64n - 1n)).toBeNull();
    node.closeStream(2n ** 64n - 1n, 0n);
  });
});

describe('an address', () => {
  const bad = ['localhost:1', '127.0.0.1', '127.0.0.1:65536', ':1', '', '[::1', 5, null, undefined];

  test.each(bad)('%p is refused by every method that takes one', async (value) => {
    const node = await startNode();
    const address = value as string;
    const key = '11'.repeat(32);
    const peer = /^invalid peer address: invalid socket address syntax/;
    await expect(node.connect(address, key, 1n)).rejects.toThrow(peer);
    await expect(node.connectVia(address, key, 1n)).rejects.toThrow(peer);
    const plain = /^invalid address: invalid socket address syntax/;
    await expect(node.sendTo(address, {})).rejects.toThrow(plain);
    await expect(node.sendRawTo(address, Buffer.alloc(1))).rejects.toThrow(plain);
    expect(() => {
      node.blockPeer(address);
    }).toThrow(peer);
    expect(() => {
      node.unblockPeer(address);
    }).toThrow(peer);
    expect(() => {
      node.addRoute(1n, address);
    }).toThrow(/^invalid next hop address: invalid socket address syntax/);
  });

  test('with port 0 is nowhere to send to', async () => {
    const node = await startNode();
    await expect(node.connect('127.0.0.1:0', '11'.repeat(32), 1n)).rejects.toThrow(
      'invalid peer address: port must not be 0 in "127.0.0.1:0"',
    );
  });
});

describe('a public key', () => {
  test.each([
    ['', 'public key must be 32 bytes'],
    ['11'.repeat(31), 'public key must be 32 bytes'],
    ['11'.repeat(33), 'public key must be 32 bytes'],
    ['1'.repeat(63), 'invalid public key hex: odd number of digits'],
    ['zz'.repeat(32), 'invalid public key hex: invalid character "z" at 0'],
    [undefined, 'invalid public key hex: expected a string, got undefined'],
    [Buffer.alloc(32), 'invalid public key hex: expected a string, got an object'],
  ])('%p is refused', async (key, message) => {
    const node = await startNode();
    for (const call of ['connect', 'connectVia'] as const) {
      const error = await rejection(node[call]('127.0.0.1:9', key as string, 1n));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error.message).toBe(message);
    }
  });

  test('of low order is refused without waiting', async () => {
    const node = await startNode();
    await expect(node.connect('127.0.0.1:9', '00'.repeat(32), 1n)).rejects.toThrow(
      'connect failed: connection error: ',
    );
  });
});

const STREAM_CONFIGS: Array<[unknown, RegExp]> = [
  [undefined, /^stream config must be an object; got undefined$/],
  [null, /^stream config must be an object; got null$/],
  [[], /^stream config must be an object; got an array$/],
  [{}, /^expected non-negative BigInt for streamId, got undefined$/],
  [
    { streamId: 1n, reliability: 'mostly' },
    /^unknown reliability mode "mostly"; expected "fire_and_forget" or "reliable"$/,
  ],
  [{ streamId: 1n, reliability: 5 }, /^unknown reliability mode "number 5"; expected /],
  [{ streamId: 1n, reliability: null }, /^unknown reliability mode "null"; expected /],
  ...[-1, 1.5, NaN, 2 ** 32, '256', null, 256n].map((windowBytes): [unknown, RegExp] => [
    { streamId: 1n, windowBytes },
    /^windowBytes must be an integer in \[0, 4294967295\]; got /,
  ]),
  ...[-1, 1.5, NaN, 256, '1', null].map((fairnessWeight): [unknown, RegExp] => [
    { streamId: 1n, fairnessWeight },
    /^fairnessWeight must be an integer in \[0, 255\]; got /,
  ]),
];

describe('a stream configuration', () => {
  test.each(STREAM_CONFIGS)('%p is refused, and nothing is opened', async (value, message) => {
    const [a, b] = await connectedPair();
    const call = (): unknown => a.openStream(b.nodeId(), value as { streamId: bigint });
    expect(call).toThrow(InvalidArgumentError);
    expect(call).toThrow(message);
    expect(a.allStreamStats(b.nodeId())).toEqual([]);
  });

  test('may have every good value', async () => {
    const [a, b] = await connectedPair();
    a.openStream(b.nodeId(), { streamId: 0n, windowBytes: 0, fairnessWeight: 0 });
    a.openStream(b.nodeId(), {
      streamId: 1n,
      reliability: 'fire_and_forget',
      windowBytes: 2 ** 32 - 1,
      fairnessWeight: 255,
    });
    expect(a.streamStats(b.nodeId(), 1n)!.txWindow).toBe(2 ** 32 - 1);
  });
});

describe('options of calls', () => {
  test.each([-1, 0, NaN, Infinity, '10', null])('timeoutMs %p is refused', async (timeoutMs) => {
    const node = await startNode();
    await expect(
      node.connect('127.0.0.1:9', '11'.repeat(32), 1n, { timeoutMs: timeoutMs as number }),
    ).rejects.toThrow(/^timeoutMs must be milliseconds in \[1, 2147483647\]; got /);
  });

  test.each([-1, NaN, Infinity, '10', null])(
    'drainMs %p is refused, and the node lives on',
    async (drainMs) => {
      const node = await startNode();
      await expect(node.shutdown({ drainMs: drainMs as number })).rejects.toThrow(
        /^drainMs must be milliseconds in \[0, 2147483647\]; got /,
      );
      expect(node.peerCount()).toBe(0);
    },
  );

  test.each(['text', 5, null, []])('%p is no options object', async (options) => {
    const node = await createNode();
    const bad = options as object;
    const message = /^options must be an object; got /;
    await expect(node.connect('127.0.0.1:9', '11'.repeat(32), 1n, bad)).rejects.toThrow(message);
    await expect(node.accept(1n, bad)).rejects.toThrow(message);
    await expect(node.shutdown(bad)).rejects.toThrow(message);
    expect(() => node.messages(bad)).toThrow(message);
  });

  test('sendRawTo takes bytes only', async () => {
    const node = await startNode();
    for (const data of ['text', 5, null, undefined, [1], new Uint16Array(1)]) {
      await expect(node.sendRawTo('127.0.0.1:9', data as unknown as Buffer)).rejects.toThrow(
        /^data must be a Buffer or Uint8Array; got /,
      );
    }
  });
});

test('whatever is passed as an argument, errors are errors and the node lives on', async () => {
  const [a, b] = await connectedPair();
  const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
  const anything = fc.oneof(
    fc.anything({ withBigInt: true, withTypedArray: true }),
    fc.constant(stream),
  );
  const methods = [
    'openStream',
    'streamStats',
    'allStreamStats',
    'readStream',
    'addRoute',
    'removeRoute',
    'blockPeer',
    'accept',
    'sendOnStream',
    'sendWithRetry',
    'sendBlocking',
    'sendRawTo',
    'recv',
    'recvShard',
    'messages',
    'duplex',
    'connect',
  ] as const;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...methods),
      fc.array(anything, { maxLength: 4 }),
      async (method, args) => {
        try {
          await (a as unknown as Record<string, (...values: unknown[]) => unknown>)[method]!(
            ...args,
          );
        } catch (error) {
          expect(error).toHaveProperty('message');
          expect(error).toHaveProperty('stack');
        }
        expect(a.peerCount()).toBe(1);
      },
    ),
    { numRuns: 2000 },
  );
});
