import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Redex } from 'netmesh';

// File systems that refuse: each is mounted in a mount namespace of its own, which goes with its processes.

const sdk = path.resolve(__dirname, '../dist/index.js');
const cli = path.resolve(__dirname, '../dist/cli/main.js');

/** Runs a shell script in a mount namespace of its own; `$0` is node and `$1` the directory. */
function withMounts(script: string, directory: string, program = ''): string {
  return execFileSync(
    'unshare',
    [
      '--mount',
      '--propagation',
      'private',
      'bash',
      '-ec',
      script,
      process.execPath,
      directory,
      program,
      cli,
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 },
  );
}

/** Why nothing can be mounted here, if so. */
function missing(): string | undefined {
  if (process.platform !== 'linux') return 'mounts are those of Linux';
  if (process.getuid?.() !== 0) return 'only root may mount';
  const directory = mkdtempSync(path.join(tmpdir(), 'netmesh-mount-'));
  try {
    withMounts('mount -t tmpfs -o size=64k tmpfs "$1"', directory);
    return undefined;
  } catch (error) {
    return `nothing can be mounted here: ${(error as Error).message}`;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const reason = missing();
if (reason !== undefined) console.warn(`logs on mounts that refuse are skipped: ${reason}`);
const describeMounts = reason === undefined ? describe : describe.skip;

const PROLOGUE = `
  const { Redex, RedexError } = require(${JSON.stringify(sdk)});
  const directory = process.argv[1];
  const attempt = (action) => {
    try { action(); return 'done'; }
    catch (error) { return [error instanceof RedexError, error.code, error.message].join(' '); }
  };
  const texts = (log) => log.readRange(0n, log.stats().nextSeq).map(({ payload }) => payload.length);
`;

describeMounts('a log on', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'netmesh-redex-mount-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  test('a read-only mount is refused with a typed error, can be inspected, and stays as it was', async () => {
    const stored = path.join(directory, 'stored');
    mkdirSync(path.join(directory, 'mounted'));
    const write = new Redex({ persistentDir: stored }).openFile('log', { persistent: true });
    write.append(Buffer.from('kept'));
    await write.close();

    const output = withMounts(
      `mount --bind "$1/stored" "$1/mounted"
       mount -o remount,ro,bind "$1/mounted"
       "$0" -e "$2" "$1/mounted"
       "$0" "$3" redex verify "$1/mounted"`,
      directory,
      `${PROLOGUE}
      const redex = new Redex({ persistentDir: directory });
      console.log(attempt(() => redex.openFile('log', { persistent: true })));
      console.log(attempt(() => redex.openFile('new', { persistent: true })));
      console.log(attempt(() => redex.openFile('log').append(Buffer.from('in memory'))));`,
    );
    const refused =
      /^true ERR_NETMESH_REDEX_IO redex: open_file: io: Read-only file system: .*\/mounted\//;
    const [existing, created, inMemory, ...verified] = output.trimEnd().split('\n');
    expect(existing).toMatch(refused);
    expect(created).toMatch(refused);
    expect(inMemory).toBe('done');
    expect(verified.join('\n')).toContain(path.join(directory, 'mounted', 'log'));

    const again = new Redex({ persistentDir: stored }).openFile('log', { persistent: true });
    expect(again.readRange(0n, 10n).map(({ payload }) => payload.toString())).toEqual(['kept']);
    await again.close();
  });

  test.each([
    ['one by one', '(size) => log.append(Buffer.alloc(size, 1))', 1],
    [
      'in batches',
      '(size) => log.appendBatch(Array.from({ length: 7 }, () => Buffer.alloc(size, 1)))',
      7,
    ],
  ])(
    'a full disk refuses appends %s, loses nothing, and goes on when there is room',
    (_, append, count) => {
      const output = withMounts(
        `mount -t tmpfs -o size=2m tmpfs "$1"
         head -c 1000000 /dev/zero > "$1/filler"
         "$0" -e "$2" "$1"`,
        directory,
        `${PROLOGUE}
        (async () => {
          const redex = new Redex({ persistentDir: directory });
          let log = redex.openFile('log', { persistent: true });
          const append = ${append};
          const outcomes = new Map();
          for (let i = 0; i < 3000; i += 1) {
            const outcome = attempt(() => append(1000)).replace(directory, '');
            outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
          }
          const appended = outcomes.get('done') * ${count};
          const whole = () => texts(log).length === appended && texts(log).every((size) => size === 1000);
          const fullNew = attempt(() => {
            for (let i = 0; i < 2000; i += 1) redex.openFile('other/' + i, { persistent: true });
          }).replace(directory, '');
          const held = whole();
          require('node:fs').rmSync(directory + '/filler');
          const roomAgain = attempt(() => append(1));
          await log.close();
          log = redex.openFile('log', { persistent: true });
          const sizes = texts(log);
          await log.close();
          console.log(JSON.stringify({
            outcomes: [...outcomes.keys()].sort(), appended, fullNew, held, roomAgain,
            reopened: [sizes.filter((size) => size === 1000).length, sizes.filter((size) => size === 1).length],
          }));
          process.exit();
        })();`,
      );
      const result = JSON.parse(output);
      const { appended } = result;
      expect(result).toEqual({
        outcomes: [
          'done',
          expect.stringMatching(
            /^true ERR_NETMESH_REDEX_IO redex: append(_batch)?: io: No space left on device/,
          ),
        ],
        appended: expect.any(Number),
        fullNew: expect.stringMatching(
          /^true ERR_NETMESH_REDEX_IO redex: open_file: io: No space left on device/,
        ),
        held: true,
        roomAgain: 'done',
        reopened: [appended, count],
      });
      // What was free, less index and timestamps.
      expect(appended).toBeGreaterThan(800);
      expect(appended).toBeLessThan(1100);
    },
  );
});
