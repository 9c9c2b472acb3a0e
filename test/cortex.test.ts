import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import v8 from 'node:v8';
import vm from 'node:vm';
import { Worker } from 'node:worker_threads';

import * as fc from 'fast-check';
import {
  CortexError,
  InvalidArgumentError,
  MemoriesAdapter,
  MemoriesOrderBy,
  NetDb,
  NetDbError,
  Redex,
  RedexError,
  type Task,
  TaskStatus,
  TasksAdapter,
  TasksOrderBy,
  WriteToken,
} from 'netmesh';
import * as core from 'netmesh/core';
import * as cortex from 'netmesh/cortex';

const ORIGIN = 0xabcdef01n;

const folders: string[] = [];
const open: Array<{ close(): void }> = [];

function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'netmesh-cortex-'));
  folders.push(made);
  return made;
}

/** Closed after the test. */
function closing<T extends { close(): void }>(it: T): T {
  open.push(it);
  return it;
}

async function openTasks(redex = new Redex(), origin: bigint | number = ORIGIN) {
  return closing(await TasksAdapter.open(redex, origin));
}

afterEach(() => {
  for (const each of open.splice(0)) each.close();
  for (const each of folders.splice(0)) rmSync(each, { recursive: true });
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function take<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const each of stream) {
    taken.push(each);
    if (taken.length === count) break;
  }
  return taken;
}

describe('tasks', () => {
  test('are seen by queries after waiting for the write', async () => {
    const tasks = await openTasks();
    expect(tasks.create(1n, 'write docs', 100n)).toBe(0n);
    const seq = tasks.complete(1n, 150n);
    await tasks.waitForSeq(seq);
    expect(tasks.listTasks()).toEqual([
      {
        id: 1n,
        title: 'write docs',
        status: TaskStatus.Completed,
        createdNs: 100n,
        updatedNs: 150n,
      },
    ]);
    expect(tasks.count()).toBe(1);
    expect(tasks.get(1n)?.title).toBe('write docs');
    expect(tasks.get(2)).toBeNull();
    await tasks.waitForSeq(tasks.rename(1n, 'write more', 160n));
    expect(tasks.get(1)?.title).toBe('write more');
    await tasks.waitForSeq(tasks.delete(1n));
    expect(tasks.listTasks()).toEqual([]);
  });

  test('keep any text and any 64-bit number as it is', async () => {
    const tasks = await openTasks();
    const max = 0xffff_ffff_ffff_ffffn;
    const titles = [
      '',
      'plain',
      'Grüße 👋',
      'a'.repeat(511),
      'ü'.repeat(300),
      '\0',
      'x'.repeat(100_000),
    ];
    titles.forEach((title, i) => tasks.create(BigInt(i), title, max));
    await tasks.waitForSeq(tasks.create(max, 'last', 0n));
    expect(tasks.listTasks().map(({ title }) => title)).toEqual([...titles, 'last']);
    expect(tasks.get(max)).toMatchObject({ id: max, createdNs: 0n });
    expect(tasks.get(0n)?.createdNs).toBe(max);
  });

  test('are found by every filter and in every order', async () => {
    const tasks = await openTasks();
    tasks.create(1, 'Ship the docs', 10);
    tasks.create(2, 'SHIP the code', 30);
    tasks.create(3, 'rest', 20);
    await tasks.waitForSeq(tasks.complete(2, 40));
    const ids = (filter: Parameters<typeof tasks.listTasks>[0]): number[] =>
      tasks.listTasks(filter).map(({ id }) => Number(id));
    expect(ids({ titleContains: 'ship' })).toEqual([1, 2]);
    expect(ids({ status: TaskStatus.Pending })).toEqual([1, 3]);
    expect(ids({ createdAfterNs: 20n })).toEqual([2, 3]);
    expect(ids({ createdAfterNs: 20n, createdBeforeNs: 20n })).toEqual([3]);
    expect(ids({ updatedBeforeNs: 20n })).toEqual([1, 3]);
    expect(ids({ orderBy: TasksOrderBy.CreatedDesc })).toEqual([2, 3, 1]);
    expect(ids({ orderBy: TasksOrderBy.CreatedAsc, limit: 2 })).toEqual([1, 3]);
    expect(ids({ orderBy: TasksOrderBy.UpdatedDesc })).toEqual([2, 3, 1]);
    expect(ids({ orderBy: TasksOrderBy.UpdatedAsc })).toEqual([1, 3, 2]);
    expect(ids({ orderBy: TasksOrderBy.IdDesc })).toEqual([3, 2, 1]);
    expect(ids({ limit: 0 })).toEqual([]);
    expect(ids({ status: null, titleContains: null, orderBy: null, limit: null })).toEqual([
      1, 2, 3,
    ]);
    expect(ids(null)).toEqual([1, 2, 3]);
  });

  test('lie in their log byte for byte as the protocol has it', async () => {
    const redex = new Redex();
    const tasks = await openTasks(redex);
    tasks.create(1n, 'write docs', 100n);
    tasks.complete(1n, 150n);
    tasks.delete(1n);
    const events = redex.openFile('cortex/tasks').readRange(0n, 3n);
    expect(events.map(({ payload }) => hex(payload))).toEqual([
      '0100000001efcdab0000000000000000000000006c72f9f6010a777269746520646f637364',
      '0300000001efcdab000000000100000000000000daffcd31019601',
      '0400000001efcdab000000000200000000000000b47ac64d01',
    ]);
    expect(events[0]!.checksum).toBe(0x0eb8c329);
  });

  test('of a burst of any size are all folded', async () => {
    const tasks = await openTasks();
    let last = 0n;
    for (let id = 0; id < 100_000; id++) last = tasks.create(id, 'burst', id);
    await tasks.waitForSeq(last);
    expect(tasks.isRunning()).toBe(true);
    expect(tasks.count()).toBe(100_000);
    expect(tasks.progress()).toEqual({ foldedThrough: last, appliedThrough: last, errors: 0n });
  });

  test('survive in a persistent log without a close', async () => {
    const persistentDir = folder();
    const first = new Redex({ persistentDir });
    const tasks = closing(await TasksAdapter.open(first, ORIGIN, { persistent: true }));
    tasks.create(1n, 'kept', 100n);
    // Another manager of this process shares the log.
    const again = closing(
      await TasksAdapter.open(new Redex({ persistentDir }), ORIGIN, { persistent: true }),
    );
    expect(again.get(1n)?.title).toBe('kept');
    await first.openFile('cortex/tasks', { persistent: true }).close();
  });

  test('match a model of plain maps, whatever is done to them', async () => {
    const time = fc.bigInt({ min: 0n, max: 20n });
    const id = fc.bigInt({ min: 0n, max: 8n });
    const title = fc.constantFrom('Alpha', 'beta', 'ALPHABET', 'Ωmega', '');
    const command = fc.oneof(
      fc.record({ kind: fc.constant('create' as const), id, title, now: time }),
      fc.record({ kind: fc.constant('rename' as const), id, title, now: time }),
      fc.record({ kind: fc.constant('complete' as const), id, title, now: time }),
      fc.record({ kind: fc.constant('delete' as const), id, title, now: time }),
    );
    const filter = fc.record(
      {
        status: fc.constantFrom(TaskStatus.Pending, TaskStatus.Completed),
        titleContains: fc.constantFrom('alpha', 'BETA', 'ω', ''),
        createdAfterNs: time,
        updatedBeforeNs: time,
        limit: fc.nat(5),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), filter, async (commands, query) => {
        const tasks = await TasksAdapter.open(new Redex(), ORIGIN);
        const model = new Map<bigint, Task>();
        let last: bigint | undefined;
        for (const { kind, id: key, title: text, now } of commands) {
          const known = model.get(key);
          if (kind === 'create') {
            last = tasks.create(key, text, now);
            const status = TaskStatus.Pending;
            model.set(key, { id: key, title: text, status, createdNs: now, updatedNs: now });
          } else if (kind === 'rename') {
            last = tasks.rename(key, text, now);
            if (known) Object.assign(known, { title: text, updatedNs: now });
          } else if (kind === 'complete') {
            last = tasks.complete(key, now);
            if (known) Object.assign(known, { status: TaskStatus.Completed, updatedNs: now });
          } else {
            last = tasks.delete(key);
            model.delete(key);
          }
        }
        if (last !== undefined) await tasks.waitForSeq(last);
        const expected = [...model.values()]
          .sort((a, b) => Number(a.id - b.id))
          .filter(
            (each) =>
              (query.status === undefined || each.status === query.status) &&
              each.title.toLowerCase().includes((query.titleContains ?? '').toLowerCase()) &&
              each.createdNs >= (query.createdAfterNs ?? 0n) &&
              each.updatedNs <= (query.updatedBeforeNs ?? 100n),
          )
          .slice(0, query.limit ?? Infinity);
        expect(tasks.listTasks(query)).toEqual(expected);

        const restored = await TasksAdapter.openFromSnapshot(new Redex(), ORIGIN, tasks.snapshot());
        expect(restored.listTasks()).toEqual(tasks.listTasks());
        restored.close();
        tasks.close();
      }),
      { numRuns: 60 },
    );
  });
});

describe('memories', () => {
  async function openMemories(redex = new Redex()) {
    return closing(await MemoriesAdapter.open(redex, ORIGIN));
  }

  test('keep their age and pin when they are stored again', async () => {
    const memories = await openMemories();
    memories.store(1n, 'one', ['a', 'b', 'a'], 'alice', 10n);
    memories.pin(1n, 20n);
    await memories.waitForSeq(memories.store(1n, 'two', [], 'bob', 30n));
    expect(memories.listMemories()).toEqual([
      {
        id: 1n,
        content: 'two',
        tags: [],
        source: 'bob',
        createdNs: 10n,
        updatedNs: 30n,
        pinned: true,
      },
    ]);
    memories.retag(1n, ['ü', ''], 40n);
    await memories.waitForSeq(memories.unpin(1n, 50n));
    expect(memories.get(1n)).toMatchObject({ tags: ['ü', ''], pinned: false, updatedNs: 50n });
    await memories.waitForSeq(memories.delete(1n));
    expect(memories.count()).toBe(0);
  });

  test('are found by every filter', async () => {
    const memories = await openMemories();
    memories.store(1n, 'Likes TEA', ['taste', 'drink'], 'alice', 10n);
    memories.store(2n, 'Likes coffee', ['taste'], 'bob', 20n);
    memories.store(3n, 'Has a cat', ['pet'], 'alice', 30n);
    await memories.waitForSeq(memories.pin(3n, 40n));
    const ids = (filter: cortex.MemoryFilter): number[] =>
      memories.listMemories(filter).map(({ id }) => Number(id));
    expect(ids({ source: 'alice' })).toEqual([1, 3]);
    expect(ids({ contentContains: 'tea' })).toEqual([1]);
    expect(ids({ tag: 'taste' })).toEqual([1, 2]);
    expect(ids({ anyTag: ['pet', 'drink'] })).toEqual([1, 3]);
    expect(ids({ anyTag: [] })).toEqual([1, 2, 3]);
    expect(ids({ allTags: ['taste', 'drink'] })).toEqual([1]);
    expect(ids({ allTags: [] })).toEqual([1, 2, 3]);
    expect(ids({ pinned: true })).toEqual([3]);
    expect(ids({ pinned: false, orderBy: MemoriesOrderBy.CreatedDesc })).toEqual([2, 1]);
    expect(ids({ source: 'nobody' })).toEqual([]);
    expect(ids({ updatedAfterNs: 20n })).toEqual([2, 3]);
  });

  test('lie in their log byte for byte as the protocol has it', async () => {
    const redex = new Redex();
    const memories = await openMemories(redex);
    memories.store(1n, 'hello', ['x'], 'alice', 100n);
    const [stored] = redex.openFile('cortex/memories').readRange(0n, 1n);
    expect(hex(stored!.payload)).toBe(
      '1000000001efcdab000000000000000000000000d1c2db40010568656c6c6f01017805616c69636564',
    );
  });

  test('are searched by the lower case that JavaScript has, for every letter', async () => {
    const memories = await openMemories();
    const letters: string[] = [];
    // The search knows Unicode 14; Node.js may know letters that came later.
    const later =
      /[\u{1c89}\u{a7cb}-\u{a7cf}\u{a7d2}\u{a7d4}\u{a7da}-\u{a7dc}\u{10d50}-\u{10d65}\u{16ea0}-\u{16eb8}]/u;
    for (let code = 0x80; code < 0x1f000; code++) {
      if (later.test(String.fromCodePoint(code))) continue;
      const letter = String.fromCodePoint(code);
      if (letter.toLowerCase() !== letter) letters.push(letter);
    }
    letters.forEach((letter, i) => memories.store(i, `<${letter}x>`, [], '', 1));
    await memories.waitForSeq(BigInt(letters.length - 1));
    const missing = letters.filter((letter, i) => {
      const needle = `<${letter}x>`.toLowerCase();
      return !memories.listMemories({ contentContains: needle }).some(({ id }) => id === BigInt(i));
    });
    expect(missing).toEqual([]);
    expect(letters.length).toBeGreaterThan(1300);
  });
});

describe('waiting', () => {
  test('for a token tells when one reads one’s own write', async () => {
    const tasks = await openTasks();
    const token = new WriteToken(ORIGIN, tasks.create(1n, 'mine', 1n));
    await tasks.waitForToken(token, 5000);
    expect(tasks.count()).toBe(1);
    await tasks.waitForToken(token, 0);
  });

  test('for a token ends at its deadline', async () => {
    const tasks = await openTasks();
    const never = new WriteToken(ORIGIN, 99n);
    for (const deadline of [0, 20]) {
      await expect(tasks.waitForToken(never, deadline)).rejects.toThrow(
        new CortexError('cortex: wait_for_token: read-your-writes wait timed out'),
      );
    }
    await expect(tasks.waitForToken(new WriteToken(1n, 0n), 10)).rejects.toThrow(
      'cortex: wait_for_token: token origin 0000000000000001 != adapter origin 00000000abcdef01',
    );
  });

  test('for a token is refused beyond 1024 at a time', async () => {
    const tasks = await openTasks();
    const token = new WriteToken(ORIGIN, 0n);
    const waits = Array.from({ length: 1024 }, () => tasks.waitForToken(token, 20_000));
    await expect(tasks.waitForToken(token, 20_000)).rejects.toThrow(
      'cortex: wait_for_token: read-your-writes wait-queue saturated; retry later',
    );
    tasks.create(1n, 'now', 1n);
    await Promise.all(waits);
  });

  test('can be given up', async () => {
    const tasks = await openTasks();
    const controller = new AbortController();
    const waits = [
      tasks.waitForSeq(5n, { signal: controller.signal }),
      tasks.waitForToken(new WriteToken(ORIGIN, 5n), 20_000, { signal: controller.signal }),
    ];
    controller.abort(new Error('enough'));
    for (const wait of waits) await expect(wait).rejects.toThrow('enough');
    await expect(tasks.waitForSeq(5n, { signal: controller.signal })).rejects.toThrow('enough');
  });

  test('fails when the adapter closes, and the adapter writes no more', async () => {
    const tasks = await openTasks();
    await tasks.waitForSeq(tasks.create(1n, 'a', 1n));
    const wait = tasks.waitForSeq(9n);
    const token = tasks.waitForToken(new WriteToken(ORIGIN, 9n), 20_000);
    tasks.close();
    tasks.close();
    await expect(wait).rejects.toThrow(
      new CortexError('cortex: wait_for_seq: fold task stopped; folded_through=Some(0)'),
    );
    await expect(token).rejects.toThrow(
      'cortex: wait_for_token: fold task stopped before reaching token seq (applied through 0)',
    );
    expect(() => tasks.create(2n, 'b', 1n)).toThrow(
      new CortexError('cortex: create failed: adapter closed'),
    );
    expect(tasks.isRunning()).toBe(false);
    expect(tasks.count()).toBe(1);
    await expect(tasks.waitForSeq(9n)).rejects.toBeInstanceOf(CortexError);
    await tasks.waitForSeq(0n);
  });

  test('fails when the log is closed', async () => {
    const redex = new Redex();
    const tasks = await openTasks(redex);
    const wait = tasks.waitForSeq(0n);
    await redex.openFile('cortex/tasks').close();
    await expect(wait).rejects.toThrow(
      'cortex: wait_for_seq: fold task stopped; folded_through=None',
    );
    expect(() => tasks.create(1n, 'late', 1n)).toThrow('cortex: create failed: redex: file closed');
  });
});

describe('several adapters on one log', () => {
  test('see each other’s events and skip what is broken', async () => {
    const redex = new Redex();
    const a = await openTasks(redex, 1n);
    const b = await openTasks(redex, 2n);
    a.create(1n, 'a', 1n);
    b.create(2n, 'b', 1n);
    const broken = redex.openFile('cortex/tasks').append(Buffer.from('no event'));
    const last = b.create(3n, 'b', 1n);
    await Promise.all([a.waitForSeq(last), b.waitForSeq(last)]);
    expect(a.listTasks()).toEqual(b.listTasks());
    expect(a.count()).toBe(3);
    expect(a.progress()).toEqual({
      foldedThrough: last,
      appliedThrough: broken - 1n,
      errors: 1n,
    });
    expect(a.snapshot().lastSeq).toBe(broken - 1n);
  });
});

describe('watches', () => {
  test('begin with the rows of now and follow relevant changes only', async () => {
    const tasks = await openTasks();
    const stream = await tasks.watch({ status: TaskStatus.Pending });
    const reader = stream[Symbol.asyncIterator]();
    expect(await reader.next()).toEqual({ done: false, value: [] });
    const next = reader.next();
    await tasks.waitForSeq(tasks.create(1n, 'a', 1n));
    expect((await next).value).toHaveLength(1);
    const quiet = reader.next();
    // Of no interest to the filter: the reader goes on waiting.
    tasks.create(2n, 'b', 1n);
    await tasks.waitForSeq(tasks.complete(2n, 1n));
    const state = await Promise.race([quiet.then((r) => r.value), tasks.waitForSeq(0n)]);
    if (state !== undefined) {
      // Both writes may have been seen one by one.
      expect(state).toHaveLength(2);
    }
    await reader.return!();
    if (state === undefined) expect((await quiet).done).toBe(true);
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test('lose nothing between a snapshot and what follows', async () => {
    const tasks = await openTasks();
    for (let round = 0; round < 50; round++) {
      const { snapshot, updates } = await tasks.snapshotAndWatch();
      const last = tasks.create(round, 'raced', round);
      expect(snapshot.length).toBe(round);
      const [rows] = await take(updates, 1);
      expect(rows!.length).toBe(round + 1);
      await tasks.waitForSeq(last);
    }
  });

  test('emit every state once, in order, and always the last', async () => {
    const tasks = await openTasks();
    const { updates } = await tasks.snapshotAndWatch();
    const counts: number[] = [];
    const done = (async () => {
      for await (const rows of updates) {
        counts.push(rows.length);
        if (rows.length === 3000) break;
      }
    })();
    for (let id = 0; id < 3000; id++) {
      tasks.create(id, 'task', id);
      const seen = counts.length;
      while (id % 500 === 0 && counts.length === seen) await new Promise(setImmediate);
    }
    await done;
    expect(counts.length).toBeGreaterThanOrEqual(6);
    expect(counts).toEqual([...new Set(counts)].sort((x, y) => x - y));
  });

  test('end when the adapter closes, after what they still owe', async () => {
    const tasks = await openTasks();
    const waiting = (await tasks.watch())[Symbol.asyncIterator]();
    await waiting.next();
    const end = waiting.next();
    const owing = (await tasks.snapshotAndWatch()).updates[Symbol.asyncIterator]();
    tasks.close();
    expect(await end).toEqual({ done: true, value: undefined });
    expect(await owing.next()).toEqual({ done: true, value: undefined });
  });

  test('end with the reason of their signal', async () => {
    const tasks = await openTasks();
    const controller = new AbortController();
    const reader = (await tasks.watch(null, { signal: controller.signal }))[Symbol.asyncIterator]();
    await reader.next();
    const pending = reader.next();
    controller.abort(new Error('enough'));
    await expect(pending).rejects.toThrow('enough');
    expect((await reader.next()).done).toBe(true);
  });

  test('of the low level yield null once closed', async () => {
    const tasks = closing(await core.TasksAdapter.open(new core.Redex(), ORIGIN));
    const watch = await tasks.watchTasks();
    expect(await watch.next()).toEqual([]);
    const pending = [watch.next(), watch.next()];
    watch.close();
    watch.close();
    expect(await Promise.all(pending)).toEqual([null, null]);
    expect(await watch.next()).toBeNull();

    const both = await tasks.snapshotAndWatchTasks({ limit: 1 });
    expect(both.snapshot).toEqual([]);
    expect(both.snapshot).not.toBe(both.snapshot);
    const next = both.next();
    tasks.create(1n, 'a', 1n);
    expect(await next).toHaveLength(1);
    both.close();
    expect(await both.next()).toBeNull();
  });
});

describe('snapshots', () => {
  test('have the bytes of the protocol', async () => {
    const tasks = await openTasks();
    expect(tasks.snapshot().stateBytes.toString('hex')).toBe('000100');
    expect('lastSeq' in tasks.snapshot()).toBe(false);
    tasks.create(1n, 'alpha', 100n);
    await tasks.waitForSeq(tasks.complete(1n, 150n));
    const { stateBytes, lastSeq } = tasks.snapshot();
    expect(stateBytes.toString('hex')).toBe('020d01010105616c70686101649601');
    expect(lastSeq).toBe(1n);
  });

  test('and the tail of the log are the full replay', async () => {
    const redex = new Redex();
    const tasks = await openTasks(redex);
    await tasks.waitForSeq(tasks.create(1n, 'before', 1n));
    const snapshot = tasks.snapshot();
    tasks.create(2n, 'after', 2n);
    await tasks.waitForSeq(tasks.rename(1n, 'renamed', 3n));
    const restored = closing(await TasksAdapter.openFromSnapshot(redex, ORIGIN, snapshot));
    expect(restored.listTasks()).toEqual(tasks.listTasks());
    expect(restored.snapshot()).toEqual(tasks.snapshot());
    const next = restored.create(3n, 'next', 4n);
    expect(next).toBe(3n);
    await restored.waitForSeq(next);
    expect(restored.count()).toBe(3);
  });

  test('on an empty log, in memory or on disk, show the first new write', async () => {
    const tasks = await openTasks();
    for (let id = 0; id < 5; id++) tasks.create(id, 'old', id);
    await tasks.waitForSeq(4n);
    const snapshot = tasks.snapshot();
    for (const persistent of [false, true]) {
      const redex = new Redex({ persistentDir: folder() });
      const restored = closing(
        await TasksAdapter.openFromSnapshot(redex, ORIGIN, snapshot, { persistent }),
      );
      const seq = restored.create(9n, 'new', 9n);
      await restored.waitForSeq(seq);
      expect(restored.count()).toBe(6);
      await restored.waitForToken(new WriteToken(ORIGIN, seq), 5000);
      await redex.openFile('cortex/tasks').close();
    }
  });

  test('cut at every length or foreign are refused, and nothing is opened', async () => {
    const tasks = await openTasks();
    tasks.create(1n, 'alpha', 100n);
    await tasks.waitForSeq(tasks.create(2n, 'beta', 100n));
    const { stateBytes, lastSeq } = tasks.snapshot();
    const redex = new Redex();
    for (let size = 0; size < stateBytes.length; size++) {
      const cut = { stateBytes: stateBytes.subarray(0, size), lastSeq: lastSeq! };
      await expect(TasksAdapter.openFromSnapshot(redex, ORIGIN, cut)).rejects.toThrow(
        /^cortex: TasksAdapter open_from_snapshot failed: redex: encode failed: tasks snapshot unwrap: /,
      );
    }
    const foreign = { stateBytes: Buffer.from('0003010203', 'hex') };
    await expect(MemoriesAdapter.openFromSnapshot(redex, ORIGIN, foreign)).rejects.toThrow(
      /^cortex: MemoriesAdapter open_from_snapshot failed: redex: encode failed: deserialize snapshot: /,
    );
    await expect(
      TasksAdapter.openFromSnapshot(redex, ORIGIN, { stateBytes, lastSeq: 0xffff_ffff_ffff_ffffn }),
    ).rejects.toThrow('snapshot last_seq at u64::MAX; cannot resume');
    expect(redex.openFiles()).toEqual([]);
  });
});

describe('NetDb', () => {
  const config = { originHash: 0xabcdef01, withTasks: true, withMemories: true };

  test('opens what is asked for', async () => {
    const nothing = closing(await NetDb.open({ originHash: 1n }));
    expect([nothing.tasks, nothing.memories]).toEqual([null, null]);
    const db = closing(await NetDb.open(config));
    await db.tasks!.waitForSeq(db.tasks!.create(1n, 'task', 1n));
    await db.memories!.waitForSeq(db.memories!.store(1n, 'memory', [], 's', 1n));
    expect(db.tasks!.count()).toBe(1);
    expect(db.memories!.count()).toBe(1);
    expect(db.tasks).not.toBe(db.tasks);
    expect(db.tasks!.napi).toBe(db.tasks!.napi);
    db.close();
    db.close();
    expect(() => db.tasks!.create(2n, 'late', 1n)).toThrow(CortexError);
  });

  test('writes and reads bundles byte for byte', async () => {
    const db = closing(await NetDb.open({ originHash: ORIGIN, withTasks: true }));
    db.tasks!.create(1n, 'alpha', 100n);
    await db.tasks!.waitForSeq(db.tasks!.complete(1n, 150n));
    const bundle = db.snapshot();
    expect(bundle.stateBytes.toString('hex')).toBe('010f020d01010105616c70686101649601010100');

    const both = closing(await NetDb.openFromSnapshot(config, bundle));
    expect(both.tasks!.listTasks()).toEqual(db.tasks!.listTasks());
    expect(both.memories!.count()).toBe(0);
    await both.tasks!.waitForSeq(both.tasks!.create(2n, 'beta', 1n));
    expect(both.tasks!.count()).toBe(2);
    expect(
      both
        .snapshot()
        .stateBytes.toString('hex')
        .endsWith('0103000100' + '00'),
    ).toBe(true);
  });

  test('refuses bundles that are cut at any length or are none', async () => {
    const db = closing(await NetDb.open(config));
    db.memories!.store(1n, 'm', ['t'], 's', 1n);
    await db.memories!.waitForSeq(0n);
    const { stateBytes } = db.snapshot();
    for (let size = 0; size < stateBytes.length; size++) {
      const cut = { stateBytes: stateBytes.subarray(0, size) };
      const opening = NetDb.openFromSnapshot(config, cut);
      await expect(opening).rejects.toBeInstanceOf(NetDbError);
      await expect(opening).rejects.toThrow(/^netdb: decode snapshot bundle: snapshot: /);
    }
    const inner = { stateBytes: Buffer.from('0102ffff0000', 'hex') };
    await expect(NetDb.openFromSnapshot(config, inner)).rejects.toThrow(
      /^cortex: NetDb restore tasks: redex: encode failed: /,
    );
    await expect(
      NetDb.openFromSnapshot(config, { stateBytes: 'text' as any }),
    ).rejects.toBeInstanceOf(InvalidArgumentError);
  });

  test('keeps its logs on disk', async () => {
    const persistentDir = folder();
    const db = await NetDb.open({ ...config, persistentDir, persistent: true });
    db.tasks!.create(1n, 'kept', 1n);
    db.memories!.store(1n, 'kept', [], 's', 1n);
    db.close();
    const again = closing(await NetDb.open({ ...config, persistentDir, persistent: true }));
    expect(again.tasks!.get(1n)?.title).toBe('kept');
    expect(again.memories!.get(1n)?.content).toBe('kept');
  });

  test('says what is missing for a persistent log', async () => {
    await expect(NetDb.open({ ...config, persistent: true })).rejects.toThrow(
      'cortex: NetDb open tasks: redex: channel error: config.persistent=true requires ' +
        'Redex::with_persistent_dir(...)',
    );
    await expect(TasksAdapter.open(new Redex(), ORIGIN, { persistent: true })).rejects.toThrow(
      'cortex: TasksAdapter open failed: redex: channel error: config.persistent=true requires ' +
        'Redex::with_persistent_dir(...)',
    );
  });
});

describe('bad input', () => {
  test('of writes throws and appends nothing', async () => {
    const redex = new Redex();
    const tasks: any = await openTasks(redex);
    const memories: any = closing(await MemoriesAdapter.open(redex, ORIGIN));
    const calls: Array<() => unknown> = [
      () => tasks.create(-1n, 'x', 1n),
      () => tasks.create(1n << 64n, 'x', 1n),
      () => tasks.create(1.5, 'x', 1n),
      () => tasks.create(-1, 'x', 1n),
      () => tasks.create(2 ** 60, 'x', 1n),
      () => tasks.create('1', 'x', 1n),
      () => tasks.create(1n, 5, 1n),
      () => tasks.create(1n, 'x'),
      () => tasks.create(1n, 'x', NaN),
      () => tasks.rename(1n, null, 1n),
      () => tasks.complete(1n, -1n),
      () => tasks.delete(undefined),
      () => memories.store(1n, 'x', 'tag', 's', 1n),
      () => memories.store(1n, 'x', ['a', 5], 's', 1n),
      () => memories.store(1n, 5, [], 's', 1n),
      () => memories.store(1n, 'x', [], Symbol('s'), 1n),
      () => memories.retag(1n, null, 1n),
      () => memories.pin(1n),
      () => memories.unpin({}, 1n),
    ];
    for (const call of calls) expect(call).toThrow(InvalidArgumentError);
    expect(() => tasks.create(-1n, 'x', 1n)).toThrow(/^expected non-negative BigInt/);
    expect(() => tasks.create(1n << 64n, 'x', 1n)).toThrow(/^BigInt value exceeds u64 range/);
    expect(redex.openFile('cortex/tasks').len()).toBe(0n);
    expect(redex.openFile('cortex/memories').len()).toBe(0n);
  });

  test('of queries throws', async () => {
    const tasks: any = await openTasks();
    const memories: any = closing(await MemoriesAdapter.open(new Redex(), ORIGIN));
    for (const filter of [
      5,
      [],
      { status: 'Done' },
      { titleContains: 5 },
      { orderBy: 'TitleAsc' },
      { limit: -1 },
      { limit: 1.5 },
      { limit: 2 ** 32 },
      { createdAfterNs: -1n },
      { updatedBeforeNs: 1n << 64n },
    ]) {
      expect(() => tasks.listTasks(filter)).toThrow(InvalidArgumentError);
      await expect(tasks.watch(filter)).rejects.toBeInstanceOf(InvalidArgumentError);
      await expect(tasks.snapshotAndWatch(filter)).rejects.toBeInstanceOf(InvalidArgumentError);
    }
    for (const filter of [
      { anyTag: 'x' },
      { allTags: [1] },
      { pinned: 1 },
      { tag: 1 },
      { source: 1 },
    ]) {
      expect(() => memories.listMemories(filter)).toThrow(InvalidArgumentError);
    }
    expect(() => tasks.get(-1n)).toThrow(InvalidArgumentError);
  });

  test('of waits and opens rejects', async () => {
    const tasks: any = await openTasks();
    for (const wait of [
      () => tasks.waitForSeq(-1n),
      () => tasks.waitForSeq('1'),
      () => tasks.waitForSeq(1n, { signal: 5 }),
      () => tasks.waitForToken('token', 1),
      () => tasks.waitForToken(new WriteToken(ORIGIN, 0n), -1),
      () => tasks.waitForToken(new WriteToken(ORIGIN, 0n), Infinity),
    ]) {
      await expect(wait()).rejects.toBeInstanceOf(InvalidArgumentError);
    }
    const Adapter: any = TasksAdapter;
    for (const opening of [
      () => Adapter.open(undefined, 1n),
      () => Adapter.open({}, 1n),
      () => Adapter.open(new Redex(), -1n),
      () => Adapter.open(new Redex(), 1n, { persistent: 'yes' }),
      () => Adapter.openFromSnapshot(new Redex(), 1n, {}),
      () =>
        Adapter.openFromSnapshot(new Redex(), 1n, { stateBytes: Buffer.alloc(3), lastSeq: -1n }),
      () => (NetDb as any).open(),
      () => (NetDb as any).open({ originHash: 'x' }),
      () => (NetDb as any).open({ originHash: 1n, withTasks: 1 }),
    ]) {
      await expect(opening()).rejects.toBeInstanceOf(InvalidArgumentError);
    }
  });
});

test('the error classes are the documented ones wherever they come from', () => {
  expect(new CortexError().message).toBe('cortex adapter error');
  expect(new NetDbError().message).toBe('netdb error');
  expect(cortex.CortexError).toBe(CortexError);
  expect(core.NetDbError).toBe(NetDbError);
  expect(cortex.RedexError).toBe(RedexError);
  expect(cortex.NetDb).toBe(NetDb);
});

test('adapters that nobody holds any more end their threads', async () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  const threads = (): number => readdirSync('/proc/self/task').length;
  const before = threads();
  const count = 20;
  await (async () => {
    for (let i = 0; i < count; i++) {
      const tasks = await TasksAdapter.open(new Redex(), ORIGIN);
      await tasks.waitForSeq(tasks.create(1n, 'dropped', 1n));
    }
  })();
  for (let turn = 0; turn < 200 && threads() > before + count / 2; turn++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(threads()).toBeLessThanOrEqual(before + count / 2);
});

test('an adapter left open neither keeps a process alive nor harms its end', async () => {
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { NetDb } = require(${JSON.stringify(path.join(__dirname, '..', 'dist'))});
    NetDb.open({ originHash: 1n, withTasks: true, withMemories: true }).then(async (db) => {
      for (let i = 0; i < 10000; i++) db.tasks.create(i, 'task', i);
      const { updates } = await db.tasks.snapshotAndWatch();
      const reader = updates[Symbol.asyncIterator]();
      db.tasks.create(99999, 'news', 1);
      await reader.next();
      if (workerData) setInterval(() => db.tasks.create(1, 'more', 1), 0);
      parentPort.postMessage('open');
    });`;
  // One that ends by itself, and one that is ended while it writes.
  for (const writing of [false, true]) {
    const worker = new Worker(script, { eval: true, workerData: writing });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    if (writing) await worker.terminate();
    expect(await ended).toBe(writing ? 1 : 0);
  }
});
