import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import fc from 'fast-check';
import { Redex, RedexError, type RedexEvent, type RedexFile } from 'netmesh';
import * as core from 'netmesh/core';
import * as cortex from 'netmesh/cortex';

const execute = promisify(execFile);
const directories: string[] = [];

function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'netmesh-redex-'));
  directories.push(directory);
  return directory;
}

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function texts(events: RedexEvent[]): string[] {
  return events.map(({ payload }) => payload.toString());
}

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

async function collect(events: AsyncIterable<RedexEvent>, count: number): Promise<RedexEvent[]> {
  const out: RedexEvent[] = [];
  if (count === 0) return out;
  for await (const event of events) {
    out.push(event);
    if (out.length === count) break;
  }
  return out;
}

function thrown(action: () => unknown): RedexError {
  try {
    action();
  } catch (error) {
    return error as RedexError;
  }
  throw new Error('nothing was thrown');
}

test('the module exports are the same wherever they are imported from', () => {
  expect(cortex.Redex).toBe(Redex);
  expect(cortex.RedexError).toBe(RedexError);
  expect(core.RedexError).toBe(RedexError);
  expect(new Redex().napi).toBeInstanceOf(core.Redex);
  expect(new RedexError().message).toBe('redex error');
});

describe.each([
  ['in memory', false],
  ['on disk', true],
])('a log %s', (_, persistent) => {
  let redex: Redex;
  let file: RedexFile;

  beforeEach(() => {
    redex = new Redex({ persistentDir: temporaryDirectory() });
    file = redex.openFile('orders/audit', { persistent });
  });
  afterEach(async () => {
    await file.close();
  });

  test('numbers events from zero and reads them back', () => {
    expect(file.append(bytes('hello'))).toBe(0n);
    expect(file.appendBatch([])).toBeNull();
    expect(file.len()).toBe(1n);
    expect(file.appendBatch([bytes('a'), bytes(''), new Uint8Array([98, 99])])).toBe(1n);
    expect(file.readRange(0n, 100n)).toEqual([
      { seq: 0n, payload: bytes('hello'), checksum: 0xc62dcfd, isInline: false },
      expect.objectContaining({ seq: 1n, payload: bytes('a') }),
      expect.objectContaining({ seq: 2n, payload: bytes('') }),
      expect.objectContaining({ seq: 3n, payload: bytes('bc') }),
    ]);
    expect(texts(file.readRange(1n, 2n))).toEqual(['a']);
    expect(file.readRange(3n, 3n)).toEqual([]);
    expect(file.readRange(4n, 2n)).toEqual([]);
    expect(file.stats()).toMatchObject({ events: 4n, firstSeq: 0n, nextSeq: 4n, payloadBytes: 8n });
  });

  test.each([1, 255, 256, 257, 5000])('appends a batch of %i as one', (count) => {
    const list = Array.from({ length: count }, (_, index) => bytes(`event ${index}`));
    const first = file.append(bytes('before')) + 1n;
    expect(file.appendBatch(list)).toBe(first);
    expect(file.readRange(first, first + BigInt(count)).map(({ payload }) => payload)).toEqual(
      list,
    );
    const broken: any[] = [...list];
    broken[count - 1] = 'x';
    expect(thrown(() => file.appendBatch(broken)).message).toContain(
      `redex: append_batch: payloads[${count - 1}] must be a Buffer or Uint8Array; got "x"`,
    );
    broken.length = count - 1;
    broken.length = count; // a hole
    expect(thrown(() => file.appendBatch(broken)).message).toContain(
      `payloads[${count - 1}] must be a Buffer or Uint8Array; got undefined`,
    );
    expect(file.len()).toBe(BigInt(count) + 1n);
  });

  test.each([2, 300])('reads all of a batch of %i before it looks at the bytes', (count) => {
    const memory = new ArrayBuffer(64);
    const list = Array.from({ length: count }, () => Buffer.from(memory));
    Object.defineProperty(list, count - 1, {
      get: () => {
        file.append(bytes('from within'));
        structuredClone(null, { transfer: [memory] });
        return bytes('last');
      },
    });
    expect(file.appendBatch(list)).toBe(1n);
    expect(texts(file.readRange(0n, 2n))).toEqual(['from within', '']);
    expect(texts(file.readRange(BigInt(count), BigInt(count) + 1n))).toEqual(['last']);
  });

  test('is shared by every handle of its name', () => {
    const other = redex.openFile('orders/audit');
    other.append(bytes('x'));
    expect(file.len()).toBe(1n);
    expect(redex.openFiles()).toEqual(['orders/audit']);
  });

  test('tails what is there and what comes, each event once and in order', async () => {
    const append = (from: number, to: number): void => {
      for (let i = from; i < to; i += 1) file.append(bytes(String(i)));
    };
    append(0, 5000);
    const reading = collect(await file.tail(), 10_000);
    append(5000, 7500);
    await new Promise(setImmediate);
    append(7500, 10_000);
    const events = await reading;
    expect(events.map(({ seq }) => Number(seq))).toEqual(
      Array.from({ length: 10_000 }, (_x, i) => i),
    );
    expect(texts(events)).toEqual(Array.from({ length: 10_000 }, (_x, i) => String(i)));
  });

  test('tails from a sequence number on', async () => {
    file.appendBatch(['a', 'b', 'c', 'd'].map(bytes));
    expect(texts(await collect(await file.tail(3n), 1))).toEqual(['d']);
    const ahead = collect(await file.tail(6n), 1);
    file.appendBatch(['e', 'f', 'g'].map(bytes));
    expect(texts(await ahead)).toEqual(['g']);
  });

  test('ends its tails when it is closed, after what was appended', async () => {
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { payload } of await file.tail(0n)) seen.push(payload.toString());
    })();
    file.append(bytes('one'));
    await new Promise(setImmediate);
    file.append(bytes('two'));
    const closed = file.close();
    expect(thrown(() => file.append(bytes('three')))).toMatchObject({
      message: 'redex: append: file closed',
      code: 'ERR_NETMESH_REDEX_CLOSED',
    });
    expect(thrown(() => file.appendBatch([])).message).toBe('redex: append_batch: file closed');
    await reading;
    await closed;
    expect(seen).toEqual(['one', 'two']);
    expect(file.closed).toBe(true);
    expect(texts(file.readRange(0n, 9n))).toEqual(['one', 'two']);
    await file.close();
    await file.sync();
    const late = await file.tail(0n);
    expect(await late.next()).toEqual({ value: undefined, done: true });
  });

  test('can be opened again once it was closed', async () => {
    file.append(bytes('x'));
    void file.close();
    file = redex.openFile('orders/audit', { persistent });
    expect(file.append(bytes('y'))).toBe(persistent ? 1n : 0n);
  });

  test('releases a tail that is left early', async () => {
    file.append(bytes('x'));
    const iterator = await file.tail(0n);
    expect((await iterator.next()).value?.seq).toBe(0n);
    const waiting = iterator.next();
    await iterator.return();
    expect(await waiting).toEqual({ value: undefined, done: true });
    expect(await iterator.next()).toEqual({ value: undefined, done: true });

    const low = await file.napi.tail(0n);
    expect((await low.next())?.seq).toBe(0n);
    const pending = [low.next(), low.next()];
    low.close();
    low.close();
    expect(await Promise.all([...pending, low.next()])).toEqual([null, null, null]);
  });

  test('serves waiting reads of one tail in order', async () => {
    const tail = await file.napi.tail();
    const reads = Array.from({ length: 5 }, () => tail.next());
    file.appendBatch(['a', 'b', 'c', 'd', 'e'].map(bytes));
    const events = await Promise.all(reads);
    expect(events.map((event) => event?.payload.toString())).toEqual(['a', 'b', 'c', 'd', 'e']);
    tail.close();
  });

  test('stops a tail with the reason of its signal', async () => {
    const controller = new AbortController();
    const tail = await file.tail(0n, { signal: controller.signal });
    const waiting = tail.next();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(await tail.next()).toEqual({ value: undefined, done: true });
    const never = await file.tail(0n, { signal: AbortSignal.abort(reason) });
    await expect(never.next()).rejects.toBe(reason);
  });

  test('keeps no more than its retention allows, at any time', async () => {
    await file.close();
    file = redex.openFile('kept', { persistent, retentionMaxEvents: 10n });
    for (let i = 0; i < 1000; i += 1) file.append(bytes(String(i)));
    expect(file.len()).toBe(10n);
    expect(texts(file.readRange(0n, 2000n))).toEqual(
      Array.from({ length: 10 }, (_x, i) => String(990 + i)),
    );
    const tail = await file.tail(0n);
    const lagged = await tail.next().catch((error: unknown) => error);
    expect(lagged).toBeInstanceOf(RedexError);
    expect(lagged).toMatchObject({
      message: 'redex: tail: tail subscriber lagged; stream disconnected',
      code: 'ERR_NETMESH_REDEX_LAGGED',
    });
    expect((await tail.next()).done).toBe(true);
  });

  test('drops events by age without being asked', async () => {
    await file.close();
    file = redex.openFile('aged', { persistent, retentionMaxAgeMs: 30n });
    file.append(bytes('x'));
    expect(file.len()).toBe(1n);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(file.len()).toBe(0n);
    expect(file.append(bytes('y'))).toBe(1n);
  });

  test('resolves a durable append when the event is on disk', async () => {
    const seqs = await Promise.all(['a', 'b', 'c'].map((text) => file.appendDurable(bytes(text))));
    expect(seqs).toEqual([0n, 1n, 2n]);
    if (persistent) expect(file.stats().syncedSeq).toBe(3n);
  });

  test('behaves like a list', () => {
    const model: string[] = [];
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), text: fc.string() }),
      fc.record({ kind: fc.constant('batch' as const), list: fc.array(fc.string()) }),
      fc.record({ kind: fc.constant('read' as const), start: fc.nat(60), count: fc.nat(60) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        for (const each of steps) {
          if (each.kind === 'append') {
            expect(file.append(bytes(each.text))).toBe(BigInt(model.push(each.text) - 1));
          } else if (each.kind === 'batch') {
            const first = each.list.length === 0 ? null : BigInt(model.length);
            expect(file.appendBatch(each.list.map(bytes))).toBe(first);
            model.push(...each.list);
          } else {
            const end = each.start + each.count;
            const read = file.readRange(BigInt(each.start), BigInt(end));
            expect(read.map(({ payload }) => payload)).toEqual(
              model.slice(each.start, end).map(bytes),
            );
          }
        }
        expect(file.len()).toBe(BigInt(model.length));
      }),
      { numRuns: 30 },
    );
  });

  test.each<[string, () => unknown, string]>([
    ['a payload that is a string', () => file.append('x' as any), 'redex: append: payload must be'],
    ['no payload', () => file.append(undefined as any), 'redex: append: payload must be'],
    [
      'a list that is none',
      () => file.appendBatch(bytes('x') as any),
      'redex: append_batch: payloads must be an array',
    ],
    [
      'a wrong element',
      () => file.appendBatch([bytes('x'), 5 as any]),
      'redex: append_batch: payloads[1] must be a Buffer or Uint8Array; got number 5',
    ],
    [
      'a negative start',
      () => file.readRange(-1n, 5n),
      'redex: config.start: expected non-negative BigInt',
    ],
    [
      'an end beyond 64 bits',
      () => file.readRange(0n, 1n << 64n),
      'redex: config.end: BigInt value exceeds u64 range',
    ],
    [
      'a fraction',
      () => file.readRange(0.5 as any, 1n),
      'redex: config.start: expected non-negative BigInt, got number 0.5',
    ],
  ])('refuses %s and stays as it was', (_name, action, message) => {
    const error = thrown(action);
    expect(error).toBeInstanceOf(RedexError);
    expect(error.message).toContain(message);
    expect(error.code).toBe('ERR_NETMESH_REDEX');
    expect(file.len()).toBe(0n);
  });

  test('refuses to tail from what is no sequence number', async () => {
    await expect(file.tail(-1n)).rejects.toThrow(
      'redex: config.from_seq: expected non-negative BigInt',
    );
    await expect(file.tail('0' as any)).rejects.toBeInstanceOf(RedexError);
    await expect(file.tail(0n, { signal: {} as any })).rejects.toThrow('signal must be');
  });
});

describe('opening', () => {
  const redex = new Redex({ persistentDir: temporaryDirectory() });
  const both = 'redex: config: fsync_every_n and fsync_interval_ms are mutually exclusive';

  test.each<[string, unknown, unknown, string]>([
    ['an empty name', '', {}, 'redex: invalid channel name: channel name is empty'],
    ['a name that is none', 5, {}, 'redex: invalid channel name: expected a string, got number 5'],
    [
      'upper case',
      'Orders',
      {},
      "redex: invalid channel name: invalid channel name format: uppercase character 'O' not " +
        'allowed — channel names are lowercase only',
    ],
    ['two policies', 'a', { fsyncEveryN: 1n, fsyncIntervalMs: 5 }, both],
    ['a count of 0', 'a', { fsyncEveryN: 0n }, 'redex: config: fsync_every_n must be > 0'],
    [
      'an interval of 0',
      'a',
      { fsyncIntervalMs: 0 },
      'redex: config: fsync_interval_ms must be > 0',
    ],
    ['a negative interval', 'a', { fsyncIntervalMs: -1 }, 'redex: config.fsync_interval_ms: '],
    ['a fractional interval', 'a', { fsyncIntervalMs: 1.5 }, 'redex: config.fsync_interval_ms: '],
    [
      'a negative limit',
      'a',
      { retentionMaxEvents: -1n },
      'redex: config.retention_max_events: expected non-negative BigInt',
    ],
    [
      'a limit beyond 64 bits',
      'a',
      { retentionMaxBytes: 1n << 64n },
      'redex: config.retention_max_bytes: BigInt value exceeds u64 range',
    ],
    [
      'a fractional age',
      'a',
      { retentionMaxAgeMs: 0.5 },
      'redex: config.retention_max_age_ms: expected non-negative BigInt, got number 0.5',
    ],
    ['a configuration that is none', 'a', 'fast', 'redex: config: expected an object'],
    ['a wrong flag', 'a', { persistent: 1 }, 'redex: config.persistent: expected a boolean'],
  ])('with %s throws and opens nothing', (_name, name, config, message) => {
    const error = thrown(() => redex.openFile(name as string, config as object));
    expect(error).toBeInstanceOf(RedexError);
    expect(error.message).toContain(message);
    expect(redex.openFiles()).toEqual([]);
  });

  test('takes null for nothing and whole numbers for big ones', async () => {
    const file = redex.openFile('nulls', {
      persistent: null,
      fsyncEveryN: null,
      fsyncIntervalMs: null,
      retentionMaxEvents: 2,
    });
    file.appendBatch(['a', 'b', 'c'].map(bytes));
    expect(file.len()).toBe(2n);
    await file.close();
    const plain = redex.openFile('plain', null);
    await plain.close();
  });

  test('a persistent log needs a directory', () => {
    const error = thrown(() => new Redex().openFile('a', { persistent: true }));
    expect(error.message).toBe(
      'redex: open_file: channel error: config.persistent=true requires ' +
        'Redex::with_persistent_dir(...)',
    );
    for (const persistentDir of ['', 'a\0b', 5 as any]) {
      expect(thrown(() => new Redex({ persistentDir }))).toBeInstanceOf(RedexError);
    }
  });

  test('replication needs a mesh, and the SDK does not offer it', () => {
    const config = { replication: { factor: 3 } };
    expect(thrown(() => redex.napi.openFile('a', config)).message).toBe(
      'redex: open_file: channel error: RedexFileConfig::replication requires ' +
        'Redex::enable_replication(mesh)',
    );
    const file = redex.openFile('a', config as object);
    void file.close();
    expect(redex.napi.replicationRuntimeCount()).toBe(0);
    expect(redex.napi.replicationPrometheusText()).toBe('');
  });
});

describe('on disk', () => {
  test('writes the documented files', async () => {
    const persistentDir = temporaryDirectory();
    const file = new Redex({ persistentDir }).openFile('a/b', { persistent: true });
    file.append(bytes('hello'));
    const read = (name: string): string =>
      readFileSync(path.join(persistentDir, 'a/b', name)).toString('hex');
    expect(read('manifest')).toBe('5245444d01010000000000003ee1c150');
    expect(read('v0000000001/idx')).toBe('00000000000000000000000005000000fddc620c');
    expect(read('v0000000001/dat')).toBe(bytes('hello').toString('hex'));
    expect(read('v0000000001/ts')).toHaveLength(16);
    await file.close();
  });

  test('a second manager sees what the first appended, without a close', async () => {
    const persistentDir = temporaryDirectory();
    const first = new Redex({ persistentDir }).openFile('log', { persistent: true });
    first.appendBatch(['a', 'b'].map(bytes));
    const second = new Redex({ persistentDir }).openFile('log', { persistent: true });
    expect(texts(second.readRange(0n, 9n))).toEqual(['a', 'b']);
    expect(second.append(bytes('c'))).toBe(2n);
    expect(texts(first.readRange(0n, 9n))).toEqual(['a', 'b', 'c']);
    await Promise.all([first.close(), second.close()]);
  });

  const child = (body: string): string => `
    const { Redex } = require(${JSON.stringify(path.resolve(__dirname, '../dist/index.js'))});
    const file = () => new Redex({ persistentDir: process.argv[1] }).openFile('log', { persistent: true });
    ${body}`;

  test('a second process is refused, and takes over when the first has died', async () => {
    const persistentDir = temporaryDirectory();
    const holder = spawn(process.execPath, [
      '-e',
      child(
        `globalThis.log = file(); log.append(Buffer.from('mine')); console.log('open'); setInterval(() => {}, 1000);`,
      ),
      persistentDir,
    ]);
    await once(holder.stdout, 'data');
    const redex = new Redex({ persistentDir });
    const error = thrown(() => redex.openFile('log', { persistent: true }));
    expect(error).toBeInstanceOf(RedexError);
    expect(error.code).toBe('ERR_NETMESH_REDEX_IN_USE');
    expect(error.message).toMatch(/^redex: open_file: channel error: .*in use by another process/);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const file = redex.openFile('log', { persistent: true });
    expect(texts(file.readRange(0n, 9n))).toEqual(['mine']);
    await file.close();
  });

  test('a process that appends and exits loses nothing and is not kept alive', async () => {
    const persistentDir = temporaryDirectory();
    await execute(process.execPath, [
      '-e',
      child(`
        const log = file();
        for (let i = 0; i < 5000; i += 1) log.append(Buffer.from(String(i)));
        log.tail(0n).then((tail) => tail.next());`),
      persistentDir,
    ]);
    const file = new Redex({ persistentDir }).openFile('log', { persistent: true });
    expect(file.len()).toBe(5000n);
    await file.close();
  });

  test('directories that cannot be written to give a typed error and harm nothing else', async () => {
    const parent = temporaryDirectory();
    writeFileSync(path.join(parent, 'file'), 'in the way');
    const blocked = new Redex({ persistentDir: path.join(parent, 'file') });
    expect(thrown(() => blocked.openFile('log', { persistent: true }))).toMatchObject({
      code: 'ERR_NETMESH_REDEX_IO',
      message: expect.stringMatching(/^redex: open_file: io: Not a directory: /),
    });
    const memory = blocked.openFile('log');
    memory.append(bytes('fine'));
    await memory.close();

    // Root may write anywhere, so another user tries.
    const locked = path.join(parent, 'locked');
    mkdirSync(locked);
    chmodSync(parent, 0o755);
    chmodSync(locked, 0o555);
    const asUser = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const { stdout } = await execute(
      process.execPath,
      [
        '-e',
        child(`try { file(); } catch (error) { console.log(error.code, error.message); }`),
        locked,
      ],
      asUser,
    );
    expect(stdout).toMatch(/^ERR_NETMESH_REDEX_IO redex: open_file: io: Permission denied: /);
  });

  test('a failing disk gives a typed error, and the log goes on when there is room again', async () => {
    const persistentDir = temporaryDirectory();
    const script = child(`
      const log = file();
      const codes = new Set();
      let appended = 0;
      for (let i = 0; i < 200; i += 1) {
        try { log.append(Buffer.alloc(10000, i)); appended += 1; }
        catch (error) { codes.add(error.constructor.name + ' ' + error.message.slice(0, 32)); }
      }
      log.append(Buffer.alloc(1));
      console.log(JSON.stringify({ appended, len: Number(log.len()), codes: [...codes] }));`);
    const { stdout } = await execute('bash', [
      '-c',
      'ulimit -f 1000; exec "$0" -e "$1" "$2"',
      process.execPath,
      script,
      persistentDir,
    ]);
    const { appended, len, codes } = JSON.parse(stdout) as {
      appended: number;
      len: number;
      codes: string[];
    };
    expect(codes).toEqual(['RedexError redex: append: io: File too large'.slice(0, 43)]);
    expect(appended).toBeGreaterThan(90);
    expect(appended).toBeLessThan(110);
    expect(len).toBe(appended + 1);
    const file = new Redex({ persistentDir }).openFile('log', { persistent: true });
    expect(file.len()).toBe(BigInt(len));
    await file.close();
  });

  test('syncs by count and by interval', async () => {
    const redex = new Redex({ persistentDir: temporaryDirectory() });
    const counted = redex.openFile('counted', { persistent: true, fsyncEveryN: 3n });
    const timed = redex.openFile('timed', { persistent: true, fsyncIntervalMs: 10 });
    counted.append(bytes('a'));
    counted.appendBatch(['b', 'c'].map(bytes));
    timed.append(bytes('a'));
    while (counted.stats().syncedSeq < 3n || timed.stats().syncedSeq < 1n) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.all([counted.close(), timed.close()]);
  });
});

describe('threads', () => {
  test('several workers append to one directory and follow it', async () => {
    const persistentDir = temporaryDirectory();
    const workers = 3;
    const each = 2000;
    const source = `
      const { workerData, parentPort } = require('node:worker_threads');
      const { Redex } = require(${JSON.stringify(path.resolve(__dirname, '../dist/index.js'))});
      const file = new Redex({ persistentDir: workerData.dir }).openFile('log', { persistent: true });
      (async () => {
        let seen = 0;
        const tail = await file.tail(0n);
        const reading = (async () => {
          for await (const { seq } of tail) {
            if (Number(seq) !== seen++) throw new Error(\`gap at \${seq}\`);
            if (seen === workerData.total) break;
          }
        })();
        for (let i = 0; i < workerData.each; i += 1) {
          file.append(Buffer.from('x'));
          if (i % 100 === 0) await new Promise(setImmediate);
        }
        await reading;
        parentPort.postMessage(seen);
      })();`;
    const counts = await Promise.all(
      Array.from({ length: workers }, async () => {
        const worker = new Worker(source, {
          eval: true,
          workerData: { dir: persistentDir, each, total: workers * each },
        });
        const [count] = (await once(worker, 'message')) as [number];
        await worker.terminate();
        return count;
      }),
    );
    expect(counts).toEqual(Array.from({ length: workers }, () => workers * each));
    const file = new Redex({ persistentDir }).openFile('log', { persistent: true });
    expect(file.len()).toBe(BigInt(workers * each));
    await file.close();
  });
});

describe('write tokens', () => {
  test('have a text form', () => {
    const token = new core.WriteToken(0xabcdef01n, 5n);
    expect(token.toString()).toBe('00000000abcdef01:5');
    const parsed = core.WriteToken.fromString('00000000ABCDEF01:5');
    expect([parsed.originHash, parsed.seq]).toEqual([0xabcdef01n, 5n]);
  });

  test.each([
    ['5', 'WriteToken parse: expected `<origin_hex>:<seq>`'],
    ['abc:5', 'WriteToken parse: origin must be 16 lowercase hex chars'],
    ['00000000abcdef01:', 'WriteToken parse: seq must be a decimal u64'],
    ['00000000abcdef01:-1', 'WriteToken parse: seq must be a decimal u64'],
    ['00000000abcdef01:18446744073709551616', 'WriteToken parse: seq must be a decimal u64'],
  ])('refuse %s', (text, message) => {
    expect(() => core.WriteToken.fromString(text)).toThrow(message);
  });

  test('refuse what is no unsigned 64-bit integer', () => {
    expect(() => new core.WriteToken(-1n, 0n)).toThrow('expected non-negative BigInt');
    expect(() => new core.WriteToken(0n, 1n << 64n)).toThrow('BigInt value exceeds u64 range');
  });
});
