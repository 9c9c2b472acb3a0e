import {
  type Conditions,
  type Namespace,
  type Network,
  linksUnavailable,
  setSysctl,
} from './support/link.cjs';
import {
  connectNodes,
  connectOverLink,
  makeNetwork,
  startTransfer,
  transfer,
} from './support/transfers';

// Real kernels on both ends of a link that the emulator of `test/linkem` makes bad. Every run has a seed, in
// the name of its test; the same seed meets the same chance again.

const MIB = 1024 * 1024;

const reason = linksUnavailable();
if (reason !== undefined) console.warn(`transfers over emulated links are skipped: ${reason}`);
const describeLinks = reason === undefined ? describe : describe.skip;

interface Cell {
  lossPercent: number;
  rttMs: number;
  mbit: number;
  mib: number;
}

/** `full` runs the whole matrix: hours when losses are many and the round trip is long. */
const FULL = process.env.NETMESH_LINK_MATRIX === 'full';

const cell = (lossPercent: number, rttMs: number, mbit: number, mib: number): Cell => ({
  lossPercent,
  rttMs,
  mbit,
  mib,
});

/** Each value of the matrix at least once, where a loss-based controller is done within seconds. */
const SUBSET: Cell[] = [
  cell(0.1, 1, 0, 64),
  cell(0.1, 100, 100, 4),
  cell(1, 1, 10, 4),
  cell(1, 20, 100, 4),
  cell(5, 1, 100, 4),
  cell(20, 1, 0, 4),
];

const MATRIX: Cell[] = [0.1, 1, 5, 20].flatMap((lossPercent) =>
  [1, 20, 100].flatMap((rttMs) =>
    [10, 100, 0].flatMap((mbit) => [4, 64].map((mib) => cell(lossPercent, rttMs, mbit, mib))),
  ),
);

const SEGMENT_BYTES = 1100;
/** A round trip is never shorter than what timers and threads need. */
const LEAST_RTT_MS = 2;

/**
 * How long a transfer may take: ten times what the formula for TCP under random loss (Padhye et al. 1998) gives, so
 * that a stall shows and a busy machine does not.
 */
function limitMs({ lossPercent, rttMs, mbit, mib }: Cell): number {
  const p = lossPercent / 100;
  const rtt = Math.max(rttMs, LEAST_RTT_MS) / 1e3;
  const rto = Math.max(3 * rtt, 0.1);
  const perPacket =
    rtt * Math.sqrt((2 * p) / 3) +
    rto * Math.min(1, 3 * Math.sqrt((3 * p) / 8)) * p * (1 + 32 * p * p);
  const bytesPerSecond = Math.min(
    SEGMENT_BYTES / perPacket,
    mbit === 0 ? Infinity : mbit * 125_000,
  );
  return 20_000 + ((10 * mib * MIB) / bytesPerSecond) * 1e3;
}

function conditionsOf({ lossPercent, rttMs, mbit }: Cell): Conditions {
  return {
    loss: `${lossPercent}%`,
    delay: `${rttMs * 500}us`,
    // A queue of one bandwidth × delay, and of 40 packets at least.
    ...(mbit > 0 && { rate: `${mbit}mbit`, queue: `${Math.max(60, mbit * rttMs * 0.125)}k` }),
  };
}

describeLinks('over a bad link, everything arrives intact:', () => {
  (FULL ? MATRIX : SUBSET).forEach((each, index) => {
    const { lossPercent, rttMs, mbit, mib } = each;
    const seed = 1000 + index;
    const rate = mbit === 0 ? 'unlimited' : `${mbit} Mbit/s`;
    test(
      `${mib} MiB at ${lossPercent} % loss, ${rttMs} ms, ${rate} (seed ${seed})`,
      async () => {
        const route = await connectOverLink(conditionsOf(each), seed);
        const result = await transfer(route, mib * MIB, { seed });
        if (FULL) {
          const speed = (result.bytes / result.seconds / 1e6).toFixed(2);
          const line = `${mib} MiB, ${lossPercent} %, ${rttMs} ms, ${rate}: ${result.seconds.toFixed(1)} s, ${speed} MB/s`;
          process.stderr.write(`${line}\n`);
        }
        expect(result).toMatchObject({ intact: true, bytes: mib * MIB });
        // The link did what it was asked to.
        const { ab } = await route.link.stats();
        expect(ab.lost).toBeGreaterThan((ab.packetsIn * lossPercent) / 100 / 3);
        expect(ab.overflowed).toBe(0);
      },
      limitMs(each),
    );
  });

  const HOSTILE: Array<[what: string, conditions: Conditions]> = [
    [
      'bursts that lose twenty packets in a row',
      { delay: '2ms', burstStart: '0.1%', burstEnd: '5%' },
    ],
    ['packets that overtake each other', { delay: '2ms', reorder: '10%', reorderBy: '4ms' }],
    [
      'packets that come twice',
      { delay: '2ms', duplicate: '20%', reorder: '5%', reorderBy: '3ms' },
    ],
    ['5 % of packets damaged past their checksums', { delay: '500us', corrupt: '5%' }],
    [
      'all of it at once',
      {
        ...{ delay: '500us', jitter: '1ms', loss: '1%', burstStart: '0.02%', burstEnd: '10%' },
        ...{ reorder: '2%', duplicate: '2%', corrupt: '1%', rate: '200mbit' },
      },
    ],
  ];

  test.each(HOSTILE)(
    '4 MiB each way with %s',
    async (_, conditions) => {
      const route = await connectOverLink(conditions, 77);
      const results = await Promise.all([
        transfer(route, 4 * MIB, { seed: 1 }),
        transfer(route, 4 * MIB, { seed: 2, back: true }),
      ]);
      for (const result of results) expect(result).toMatchObject({ intact: true, bytes: 4 * MIB });
      const [stats, { ab, ba }] = await Promise.all([
        route.receiver.call('stats'),
        route.link.stats(),
      ]);
      for (const side of [ab, ba]) {
        expect(side.corrupted > 0).toBe('corrupt' in conditions);
        expect(side.duplicated > 0).toBe('duplicate' in conditions);
        expect(side.reordered > 0).toBe('reorder' in conditions);
        expect(side.lostInBurst > 0).toBe('burstStart' in conditions);
      }
      // What was damaged on the way did not get past the cipher.
      expect(stats.droppedAuthentication > 0n).toBe('corrupt' in conditions);
    },
    60_000,
  );

  test('8 MiB over a link whose directions differ in delay, rate and loss', async () => {
    const route = await connectOverLink({}, 78);
    await route.link.set('ab', { delay: '1ms', rate: '100mbit', queue: '128k', loss: '0.1%' });
    await route.link.set('ba', { delay: '30ms', rate: '2mbit', queue: '32k', loss: '1%' });
    expect(await transfer(route, 8 * MIB)).toMatchObject({ intact: true });
  }, 60_000);
});

describeLinks('a transfer goes on', () => {
  const LINK: Conditions = { delay: '5ms', rate: '50mbit', queue: '128k' };

  test.each([
    ['silent', false],
    ['icmp', false],
    ['silent', true],
    ['icmp', true],
  ] as const)(
    'when the MTU of the path shrinks on the way (%s, IPv6: %s)',
    async (oversize, ipv6) => {
      const route = await connectOverLink(LINK, 79, { ipv6 });
      const under = await startTransfer(route, 12 * MIB);
      await under.reaches(3 * MIB);
      // Room for the 1200 bytes of UDP payload that every path is expected to carry, and little more.
      await route.link.set('both', { mtu: ipv6 ? 1280 : 1240, oversize });
      expect(await under.result).toMatchObject({ intact: true });
      // There was something to shrink.
      expect((await route.link.stats()).ab.tooBig).toBeGreaterThan(0);
    },
    60_000,
  );

  test('after a blackout of 5 s', async () => {
    const route = await connectOverLink(LINK, 80);
    const under = await startTransfer(route, 12 * MIB);
    await under.reaches(3 * MIB);
    await route.link.set('both', { down: true });
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const before = await under.progress();
    await route.link.set('both', { down: false });
    expect(before).toBeLessThan(12 * MIB);
    const result = await under.result;
    expect(result).toMatchObject({ intact: true });
    expect(result.longestPauseMs).toBeGreaterThan(4500);
    // Back within one more of the pauses that probes double to.
    expect(result.longestPauseMs).toBeLessThan(15_000);
  }, 60_000);

  test('when the rate falls to a tenth and comes back', async () => {
    const route = await connectOverLink({ ...LINK, rate: '100mbit' }, 81);
    const under = await startTransfer(route, 16 * MIB);
    await under.reaches(4 * MIB);
    await route.link.set('both', { rate: '10mbit' });
    await under.reaches(5 * MIB);
    await route.link.set('both', { rate: '100mbit' });
    expect(await under.result).toMatchObject({ intact: true });
  }, 60_000);
});

describeLinks('a transfer through a router that translates addresses', () => {
  /** Client — link — router — cable — server. */
  async function throughRouter() {
    const network: Network = makeNetwork();
    const client = network.namespace();
    const router = network.namespace();
    const server = network.namespace();
    const link = await network.link(client, router, {
      conditions: { delay: '5ms', rate: '50mbit', queue: '128k' },
      seed: 82,
    });
    const cable = network.cable(router, server);
    client.ip('route', 'add', 'default', 'via', link.addrB);
    setSysctl(router, 'net/ipv4/ip_forward', 1);
    translate(router, '40000-40999');
    const route = await connectNodes(
      network,
      [client, server],
      [link.addrA, cable.addrB],
      // Who only receives is heard from by its heartbeats.
      { heartbeatIntervalMs: 500 },
    );
    return { ...route, router };
  }

  /** Sources leave the router from these ports; the translations so far are forgotten. */
  function translate(router: Namespace, ports: string): void {
    router.run('nft', 'add table ip nat');
    router.run('nft', 'delete table ip nat');
    router.run('nft', 'add table ip nat');
    router.run('nft', 'add chain ip nat out { type nat hook postrouting priority 100 ; }');
    router.run(
      'nft',
      `add rule ip nat out oifname cable udp sport 1-65535 masquerade to :${ports}`,
    );
    router.run('conntrack', '-F');
  }

  async function portSeenByServer(route: { receiver: { call(name: string): Promise<any> } }) {
    const [peer] = await route.receiver.call('peers');
    return Number(String(peer.addr).split(':').at(-1));
  }

  test('arrives intact', async () => {
    const route = await throughRouter();
    expect(await transfer(route, 8 * MIB)).toMatchObject({ intact: true });
    const port = await portSeenByServer(route);
    expect(port).toBeGreaterThanOrEqual(40_000);
    expect(port).toBeLessThan(41_000);
  }, 30_000);

  test.each([
    ['the sender', false],
    ['the receiver', true],
  ])(
    'that gives %s another port on the way, arrives intact',
    async (_, back) => {
      const route = await throughRouter();
      const under = await startTransfer(route, 16 * MIB, { back });
      await under.reaches(4 * MIB);
      translate(route.router, '50000-50999');
      expect(await under.result).toMatchObject({ intact: true });
      expect(await portSeenByServer(route)).toBeGreaterThanOrEqual(50_000);
    },
    60_000,
  );
});
