import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import {
  type Link,
  type LinkCounters,
  type LinkOptions,
  RemotePeer,
  linksUnavailable,
} from './support/link.cjs';
import { makeNetwork } from './support/transfers';

// The emulator itself, between the kernels of two namespaces: what its unit tests cannot see.

const reason = linksUnavailable();
if (reason !== undefined) console.warn(`the link emulator is not tested here: ${reason}`);
const describeLinks = reason === undefined ? describe : describe.skip;

const UDP_PEER = join(__dirname, 'support', 'children', 'udp_peer.cjs');

interface Ends {
  link: Link;
  near: RemotePeer;
  far: RemotePeer;
}

async function udpOverLink(options: LinkOptions): Promise<Ends> {
  const network = makeNetwork();
  const a = network.namespace();
  const b = network.namespace();
  const link = await network.link(a, b, options);
  const near = new RemotePeer(a, UDP_PEER);
  network.onClose(() => near.end());
  const far = new RemotePeer(b, UDP_PEER);
  network.onClose(() => far.end());
  await Promise.all([
    near.call('open', { host: link.addrA, port: 4000 }),
    far.call('open', { host: link.addrB, port: 4000 }),
  ]);
  return { link, near, far };
}

/** The counters from a to b, once so many packets have come to the emulator. */
async function countersAfter(link: Link, packetsIn: number): Promise<LinkCounters> {
  for (;;) {
    const { ab } = await link.stats();
    if (ab.packetsIn >= packetsIn) return ab;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describeLinks('a datagram over the emulated link', () => {
  test('takes the delay of both directions, and little more', async () => {
    const { link, near, far } = await udpOverLink({ ab: { delay: '20ms' }, ba: { delay: '15ms' } });
    await far.call('echo');
    const times: number[] = await near.call('ping', { to: link.addrB, count: 30 });
    expect(Math.min(...times)).toBeGreaterThanOrEqual(35);
    // The best of many: others may be using the machine.
    expect(Math.min(...times)).toBeLessThan(45);
  });

  test('is lost by the same chance for the same seed, and another for another', async () => {
    const lostWith = async (seed: number): Promise<number[]> => {
      const { link, near, far } = await udpOverLink({ ab: { loss: '20%' }, seed });
      await near.call('send', { to: link.addrB, count: 500, size: 100 });
      const ab = await countersAfter(link, 500);
      const numbers: number[] = await far.call('wait', { count: 500 - ab.lost });
      expect(numbers).toHaveLength(500 - ab.lost);
      return numbers;
    };
    const [first, again, other] = [await lostWith(5), await lostWith(5), await lostWith(6)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(first.length).toBeGreaterThan(340);
    expect(first.length).toBeLessThan(450);
  });

  test('leaves at the rate of the line', async () => {
    const { link, near, far } = await udpOverLink({ ab: { rate: '8mbit', queue: '1m' } });
    // 1000 bytes of IP packet each: a millisecond on the line.
    await near.call('send', { to: link.addrB, count: 500, size: 972 });
    await far.call('wait', { count: 500 });
    const ms: number = await far.call('duration');
    // 499 ms. The first or the last may be late where others use the machine.
    expect(ms).toBeGreaterThan(450);
    expect(ms).toBeLessThan(600);
    expect((await link.stats()).ab.maxQueueBytes).toBeGreaterThan(400_000);
  });

  test('reaches the application damaged, checksums notwithstanding', async () => {
    const { link, near, far } = await udpOverLink({ ab: { corrupt: 1 } });
    await near.call('send', { to: link.addrB, count: 50, size: 1000 });
    await far.call('wait', { count: 50 });
    expect(await far.call('damaged')).toBe(50);
  });

  test('meets a black hole above the MTU of the link, or an answer that the kernel understands', async () => {
    const { link, near, far } = await udpOverLink({ ab: { mtu: 1300 } });
    await near.call('send', { to: link.addrB, count: 10, size: 1400 });
    await near.call('send', { to: link.addrB, count: 1, size: 1200 });
    await far.call('wait', { count: 1 });
    const before = await countersAfter(link, 11);
    expect(before).toMatchObject({ tooBig: 10, icmpSent: 0, packetsOut: 1 });
    expect(link.a.ip('route', 'get', link.addrB)).not.toContain('mtu');

    await link.set('ab', { oversize: 'icmp' });
    await near.call('send', { to: link.addrB, count: 1, size: 1400 });
    expect(await countersAfter(link, 12)).toMatchObject({ tooBig: 11, icmpSent: 1 });
    expect(link.a.ip('route', 'get', link.addrB)).toContain('mtu 1300');
  });

  test('is neither lost nor repeated by a perfect link', async () => {
    const { link, near, far } = await udpOverLink({});
    await near.call('send', { to: link.addrB, count: 3000, size: 500 });
    const numbers: number[] = await far.call('wait', { count: 3000 });
    expect(numbers).toEqual(Array.from({ length: 3000 }, (_, index) => index));
    const { ab } = await link.stats();
    expect(ab).toMatchObject({ packetsIn: 3000, packetsOut: 3000, droppedByDevice: 0 });
  });
});

describeLinks('the emulator', () => {
  test('refuses what it does not understand and goes on', async () => {
    const network = makeNetwork();
    const link = await network.link(network.namespace(), network.namespace());
    await expect(link.set('ab', { loss: '120%' })).rejects.toThrow('loss takes a probability');
    await expect(link.set('ab', { delay: '20' })).rejects.toThrow('delay takes a time');
    await expect(link.set('up' as 'ab', { loss: 1 })).rejects.toThrow('set takes ab, ba or both');
    expect((await link.stats()).ab.packetsIn).toBe(0);
  });

  test('says why it cannot start', () => {
    const linkem = join(__dirname, '..', 'build', 'release', 'bin', 'linkem');
    const run = (...args: string[]) => spawnSync(linkem, args, { encoding: 'utf8', input: '' });
    expect(run('--a', 'nmlink-none:x', '--b', 'y')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('nmlink-none: No such file or directory'),
    });
    expect(run('--a', 'x')).toMatchObject({
      status: 2,
      stderr: 'linkem: --a and --b name the two devices\n',
    });
    expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('Usage') });
  });

  test('ends with whoever started it, and the namespaces of the dead are removed', async () => {
    const script = `
      const { Network } = require(${JSON.stringify(join(__dirname, 'support', 'link.cjs'))});
      const network = new Network();
      const [a, b] = [network.namespace(), network.namespace()];
      network.link(a, b).then(() => {
        console.log(a.name);
        process.kill(process.pid, 'SIGKILL');
      });`;
    const { stdout, signal } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect(signal).toBe('SIGKILL');
    const orphan = stdout.trim();
    expect(existsSync(`/run/netns/${orphan}`)).toBe(true);
    makeNetwork();
    expect(existsSync(`/run/netns/${orphan}`)).toBe(false);
    // Its standard input has ended, too.
    const linkemsOf = () =>
      readdirSync('/proc').filter((pid) => {
        const { stdout: args } = spawnSync('cat', [`/proc/${pid}/cmdline`], { encoding: 'utf8' });
        return args.includes(`${orphan}:`);
      });
    for (let i = 0; i < 50 && linkemsOf().length > 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(linkemsOf()).toEqual([]);
  });
});
