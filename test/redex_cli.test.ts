import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Redex } from 'netmesh';

const main = path.resolve(__dirname, '../dist/cli/main.js');
let root: string;

beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'netmesh-redex-cli-'));
  const redex = new Redex({ persistentDir: root });
  for (const name of ['orders/audit', 'orders/audit/nested']) {
    const file = redex.openFile(name, { persistent: true });
    file.appendBatch(['hello', 'wörld', ''].map((text) => Buffer.from(text)));
    await file.close();
  }
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function netmesh(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'redex', ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code as number), stdout, stderr });
    });
  });
}

function lines(text: string): any[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

const audit = (): string => path.join(root, 'orders/audit');
const fileOf = (name: string): string => path.join(audit(), 'v0000000001', name);

test('inspect lists every log below a directory', async () => {
  const { code, stdout } = await netmesh('inspect', root, '--json');
  expect(code).toBe(0);
  expect(lines(stdout)).toEqual(
    [audit(), path.join(audit(), 'nested')].map((log) => ({
      log,
      generation: 1,
      manifestValid: true,
      indexBytes: 60,
      payloadBytes: 11,
      timestampBytes: 24,
      records: 3,
      firstSeq: '0',
      lastSeq: '2',
      firstTime: expect.stringMatching(/^20/),
      lastTime: expect.stringMatching(/^20/),
    })),
  );
  const text = (await netmesh('inspect', root)).stdout;
  expect(text).toContain('generation 1, manifest valid');
  expect(text).toContain('records 3, sequence 0 to 2');
});

test('verify finds nothing wrong with a sound log', async () => {
  const { code, stdout } = await netmesh('verify', root);
  expect(code).toBe(0);
  expect(stdout).toContain('orders/audit: 3 sound records');
});

test('verify names what is damaged or torn, and changes nothing', async () => {
  const dat = readFileSync(fileOf('dat'));
  dat[1] = (dat[1] as number) ^ 1;
  writeFileSync(fileOf('dat'), Buffer.concat([dat, Buffer.from('tail')]));
  truncateSync(fileOf('ts'), 16);
  writeFileSync(fileOf('idx'), Buffer.concat([readFileSync(fileOf('idx')), Buffer.alloc(45)]));
  const before = readFileSync(fileOf('idx'));
  const { code, stdout } = await netmesh('verify', audit(), '--json');
  expect(code).toBe(1);
  expect(lines(stdout)[0]).toMatchObject({
    sound: false,
    records: 5,
    keep: 3,
    damaged: [0],
    problems: [
      '2 records at the end are torn or never written',
      '5 bytes of a partial record',
      '4 bytes after the last payload',
      '1 timestamps are missing',
      '1 damaged records: 0 (sequence 0)',
    ],
  });
  expect(readFileSync(fileOf('idx'))).toEqual(before);
});

test('repair mends what verify found', async () => {
  const dat = readFileSync(fileOf('dat'));
  dat[1] = (dat[1] as number) ^ 1;
  writeFileSync(fileOf('dat'), dat);
  truncateSync(fileOf('idx'), 50);
  writeFileSync(path.join(audit(), 'manifest'), 'nonsense');
  const { code, stdout } = await netmesh('repair', audit());
  expect(code).toBe(0);
  expect(stdout).toContain('wrote the manifest anew, left out 1 damaged records');
  expect((await netmesh('verify', root)).code).toBe(0);
  expect((await netmesh('repair', audit())).stdout).toContain('audit: nothing to do');
  const file = new Redex({ persistentDir: root }).openFile('orders/audit', { persistent: true });
  expect(file.readRange(0n, 9n).map(({ payload }) => payload.toString())).toEqual(['wörld']);
  await file.close();
});

test('repair leaves a log alone that is in use', async () => {
  const file = new Redex({ persistentDir: root }).openFile('orders/audit', { persistent: true });
  const { code, stderr } = await netmesh('repair', audit());
  expect(code).toBe(2);
  expect(stderr).toContain('in use by another process');
  expect((await netmesh('inspect', audit())).code).toBe(0);
  await file.close();
});

test('dump writes events as lines of JSON', async () => {
  const nested = path.join(audit(), 'nested');
  const all = lines((await netmesh('dump', nested)).stdout);
  expect(all.map(({ seq, payload }) => [seq, payload])).toEqual([
    [0, 'hello'],
    [1, 'wörld'],
    [2, ''],
  ]);
  const some = await netmesh('dump', nested, '--from', '1', '--limit', '1', '--payload', 'hex');
  expect(lines(some.stdout)).toEqual([
    {
      seq: 1,
      time: expect.stringMatching(/^20/),
      bytes: 6,
      checksum: expect.any(Number),
      payload: Buffer.from('wörld').toString('hex'),
    },
  ]);
});

test.each([
  [['verify', '/nowhere/at/all'], 2, 'No such file or directory'],
  [['dump', '.', '--from', '-1'], 1, 'expected a number from 0 on'],
  [['dump', '.', '--payload', 'xml'], 1, 'Allowed choices are utf8, base64, hex, none'],
  [['inspect'], 1, "missing required argument 'dir'"],
  [['shrink'], 1, "unknown command 'shrink'"],
])('says what is wrong with %j', async (args, expected, message) => {
  const { code, stderr } = await netmesh(...args);
  expect(stderr).toContain(message);
  expect(code).toBe(expected);
});

test('dump asks for one log when there are several', async () => {
  const { code, stderr } = await netmesh('dump', path.join(root, 'orders'));
  expect(code).toBe(2);
  expect(stderr).toContain('there are 2 logs below');
});

const document = readFileSync(path.resolve(__dirname, '../docs/redex.md'), 'utf8');
const commands = [...document.matchAll(/^netmesh redex ([^#\n]*)/gm)].map(([, words]) =>
  words!.trim(),
);

test('the documents have an example of every command', async () => {
  expect(commands.map((command) => command.split(' ')[0]).sort()).toEqual(
    [...(await netmesh('--help')).stdout.matchAll(/^ {2}(\w+) .*<dir>/gm)]
      .map(([, name]) => name)
      .sort(),
  );
});

test.each(commands)('the documented netmesh redex %s runs', async (command) => {
  const file = new Redex({ persistentDir: root }).openFile('orders/audit', { persistent: true });
  file.appendBatch(Array.from({ length: 100 }, (_, index) => Buffer.from(`event ${index}`)));
  await file.close();
  const { code, stdout, stderr } = await netmesh(
    ...command.split(' ').map((word) => (word === 'DIR' ? audit() : word)),
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const from = /--from (\d+)/.exec(command)?.[1];
  if (from === undefined) expect(stdout).toContain(audit());
  else expect(lines(stdout).map(({ seq }) => Number(seq))).toEqual([100, 101, 102]);
});
