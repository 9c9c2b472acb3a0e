import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// The demo as users run it, less the build, which `npm test` has done before.

const root = path.resolve(__dirname, '..');
const script = path.join(root, 'scripts', 'demo.mjs');
const GIB = 1024 ** 3;

interface Demo {
  child: ChildProcess;
  output: { stdout: string; stderr: string };
  /** The exit status, once everything it said is there. */
  ended: Promise<number | null>;
}

const running = new Set<ChildProcess>();
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'netmesh-demo-'));
});

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  rmSync(folder, { recursive: true });
});

function start(args: string[], env: NodeJS.ProcessEnv = {}): Demo {
  const child = spawn(process.execPath, [script, '--no-build', ...args], {
    cwd: folder,
    env: { ...process.env, npm_lifecycle_event: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { child, output, ended };
}

function fileOf(name: string, contents: Buffer | string): string {
  const file = path.join(folder, name);
  writeFileSync(file, contents);
  return file;
}

/** A file that takes long to send and no room on the disk. */
function sparseFile(name: string, bytes: number): string {
  const file = fileOf(name, '');
  truncateSync(file, bytes);
  return file;
}

/** Waits for what is under way elsewhere; the test's time-out is the limit. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

function isRunning(pid: number): boolean {
  try {
    // A zombie that nobody waits for yet has ended as well.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** The two processes of a demo in the middle of its transfer, the receiver first. */
async function peersOf({ child, output }: Demo): Promise<[receiver: number, sender: number]> {
  await until(() => output.stdout.includes('Sending ') || child.exitCode !== null);
  const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  const peers = childrenOf(child.pid!);
  const find = (name: string): number => peers.find((pid) => commandOf(pid).includes(name))!;
  return [find('receiver.mjs'), find('sender.mjs')];
}

test('the demo sends a file, verifies it and shows three refusals, as one JSON object', async () => {
  const contents = randomBytes(3 * 1024 * 1024 + 17);
  const { output, ended } = start(['--json', fileOf('some file.bin', contents)]);
  const code = await ended;
  expect(output.stderr).toBe('');

  const result = JSON.parse(output.stdout);
  expect(result).toMatchObject({
    ok: true,
    problems: [],
    file: {
      name: 'some file.bin',
      kind: 'file',
      bytes: contents.length,
      sha256: createHash('sha256').update(contents).digest('hex'),
    },
    transfer: { verified: true },
    security: 'modern',
    refusals: [
      {
        id: 'wrongPsk',
        held: true,
        error: { name: 'ConnectionError', code: 'ERR_NETMESH_CONNECTION' },
      },
      {
        id: 'wrongPublicKey',
        held: true,
        error: { name: 'ConnectionError', code: 'ERR_NETMESH_CONNECTION' },
      },
      {
        id: 'beyondWindow',
        held: true,
        error: { name: 'BackpressureError', code: 'ERR_NETMESH_BACKPRESSURE' },
      },
    ],
  });
  expect(['aes-256-gcm', 'chacha20-poly1305']).toContain(result.aead);
  expect(result.transfer.bytesPerSecond).toBeGreaterThan(0);
  expect(result.roundTrip.count).toBeGreaterThan(0);
  expect(result.roundTrip.p99Us).toBeGreaterThanOrEqual(result.roundTrip.p50Us);
  expect(result.packets.sent).toBeGreaterThan(contents.length / 65_536);
  expect(result.packets.received).toBeGreaterThan(0);
  expect(result.cpuSeconds.sender).toBeGreaterThan(0);
  expect(result.cpuSeconds.receiver).toBeGreaterThan(0);
  expect(code).toBe(0);
});

test('without a terminal the demo speaks in plain lines', async () => {
  const { output, ended } = start([fileOf('small', 'not much')]);
  expect(await ended).toBe(0);
  expect(output.stdout).toMatch(/^Two processes, one encrypted mesh$/m);
  expect(output.stdout).toMatch(/^ +100 % +8 B$/m);
  expect(output.stdout).toMatch(/BackpressureError: stream would block/);
  expect(output.stdout.trimEnd()).toMatch(/All held\.$/);
  expect(output.stdout).not.toContain('\r');
  expect(output.stdout).not.toContain('\u001b');
});

test('FILE is meant where the user stands, not where npm runs the script', async () => {
  mkdirSync(path.join(folder, 'here'));
  writeFileSync(path.join(folder, 'here', 'letter'), 'dear peer');
  const env = { npm_lifecycle_event: 'demo', INIT_CWD: path.join(folder, 'here') };
  const { output, ended } = start(['--json', 'letter'], env);
  expect(await ended).toBe(0);
  expect(JSON.parse(output.stdout).file).toMatchObject({ name: 'letter', bytes: 9 });
});

describe('a file that cannot be sent is named, and nothing is started', () => {
  const cases: Array<[what: string, file: () => string, message: RegExp]> = [
    ['a missing one', () => 'nowhere', /^nowhere cannot be read: no such file$/],
    ['a directory', () => '.', /^\. is a directory; the demo sends one file$/],
    ['an empty one', () => fileOf('nothing', ''), /nothing is empty: nothing to send$/],
    [
      'a huge one',
      () => sparseFile('huge', 65 * GIB),
      /huge has 65\.0 GiB; the demo sends at most 64\.0 GiB$/,
    ],
    ['a device', () => '/dev/null', /^\/dev\/null is not a regular file$/],
  ];

  test.each(cases)('%s', async (_what, file, message) => {
    const named = file();
    const plain = start([named]);
    expect(await plain.ended).toBe(1);
    expect(plain.output.stderr.trimEnd()).toMatch(message);
    expect(plain.output.stdout).toBe('');

    const json = start(['--json', named]);
    expect(await json.ended).toBe(1);
    expect(JSON.parse(json.output.stdout)).toEqual({
      ok: false,
      error: expect.stringMatching(message),
    });
  });

  // Root may read everything.
  if (process.getuid?.() !== 0) {
    test('one without permission to read', async () => {
      const file = fileOf('secret', 'x');
      chmodSync(file, 0);
      const { output, ended } = start([file]);
      expect(await ended).toBe(1);
      expect(output.stderr.trimEnd()).toMatch(/secret cannot be read: permission denied$/);
    });
  }
});

test('a wrong option is explained', async () => {
  const { output, ended } = start(['--fast']);
  expect(await ended).toBe(1);
  expect(output.stderr).toMatch(/--fast/);
  expect(output.stderr).toMatch(/^Usage: npm run demo/m);
});

test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
  'a demo that ends by %s takes both of its processes along',
  async (signal) => {
    const demo = start([sparseFile('long', 16 * GIB)]);
    const peers = await peersOf(demo);
    expect(peers.every(isRunning)).toBe(true);
    demo.child.kill(signal);
    expect(await demo.ended).not.toBe(0);
    await until(() => !peers.some(isRunning));
  },
);

test('the loss of a process in the middle is a failure with a message', async () => {
  const demo = start([sparseFile('long', 16 * GIB)]);
  const [receiver, sender] = await peersOf(demo);
  process.kill(receiver, 'SIGKILL');
  expect(await demo.ended).toBe(1);
  expect(demo.output.stderr).toContain('the receiver process was ended by SIGKILL');
  expect(isRunning(sender)).toBe(false);
});
