import {
  CortexError,
  InvalidArgumentError,
  MemoriesAdapter,
  NetDb,
  NetDbError,
  Redex,
  TasksAdapter,
  WriteToken,
} from 'netmesh';
import { ORIGIN, closing, folder, openTasks } from './support/cortex';

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
