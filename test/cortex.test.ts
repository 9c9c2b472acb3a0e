import { readdirSync } from 'node:fs';
import path from 'node:path';
import v8 from 'node:v8';
import vm from 'node:vm';
import { Worker } from 'node:worker_threads';

import {
  CortexError,
  InvalidArgumentError,
  MemoriesAdapter,
  NetDb,
  NetDbError,
  Redex,
  RedexError,
  TaskStatus,
  TasksAdapter,
  WriteToken,
} from 'netmesh';
import * as core from 'netmesh/core';
import * as cortex from 'netmesh/cortex';
import { ORIGIN, closing, openTasks, take } from './support/cortex';

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
