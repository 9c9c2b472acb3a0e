import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

// The short form of `npm run soak`, and the proof that its verdict can be another.

const script = path.join(__dirname, '..', 'scripts', 'soak.mjs');

async function soak(...args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [script, '--no-build', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}

test.concurrent(
  'memory, descriptors and threads stay flat under mixed traffic with peers that come and go',
  async () => {
    const { code, output } = await soak('--seconds', '16');
    expect(output).toContain(', 0 out of order');
    expect(output).not.toContain('FAIL');
    expect(code).toBe(0);
    // It was busy.
    const [, peers, mib] = /^(\d+) peers came and went, (\d+) MiB arrived/m.exec(output) ?? [];
    expect(Number(peers)).toBeGreaterThan(5);
    expect(Number(mib)).toBeGreaterThan(20);
  },
  60_000,
);

test.concurrent(
  'memory that does not stay flat is noticed',
  async () => {
    const { code, output } = await soak('--seconds', '6', '--leak', '16384');
    expect(output).toMatch(/FAIL resident/);
    expect(output).toMatch(/FAIL outside the heap/);
    expect(output).toMatch(/ok {3}descriptors/);
    expect(code).toBe(1);
  },
  60_000,
);

test.each([
  [['--seconds', '0'], '--seconds takes a number from 5 to 86400'],
  [['--leak', 'x'], '--leak takes a number of KiB'],
])('a soak with %j is refused', async (args, message) => {
  expect(await soak(...args)).toEqual({ code: 1, output: `${message}\n` });
});
