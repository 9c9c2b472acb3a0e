import * as fc from 'fast-check';
import {
  MemoriesAdapter,
  MemoriesOrderBy,
  Redex,
  type Task,
  TaskStatus,
  TasksAdapter,
  TasksOrderBy,
} from 'netmesh';
import type * as cortex from 'netmesh/cortex';
import { ORIGIN, closing, folder, hex, openTasks } from './support/cortex';

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
