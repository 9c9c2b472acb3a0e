const SDK = new URL('../../dist/index.js', import.meta.url);

const TASKS = 100_000;
const QUERIES = 2000;
const SEARCHES = 20;
const OWN_WRITES = 5000;
const SNAPSHOTS = 10;
const MODEL_EVENTS = 50_000;
/** One task per microsecond. */
const STEP_NS = 1000n;

/** Seconds that `run` takes. */
async function timed(run) {
  const started = process.hrtime.bigint();
  await run();
  return Number(process.hrtime.bigint() - started) / 1e9;
}

/** Microseconds per call. */
async function perCall(calls, run) {
  const seconds = await timed(async () => {
    for (let i = 0; i < calls; i += 1) {
      const pending = run(i);
      if (pending instanceof Promise) await pending;
    }
  });
  return (seconds * 1e6) / calls;
}

/** One reading of every metric of the scenario `cortex`. */
export async function measureFolds() {
  const { Redex, TaskStatus, TasksAdapter, TasksOrderBy } = await import(SDK.href);
  const tasks = await TasksAdapter.open(new Redex(), 1n);
  let last = 0n;
  let creating = 0;
  const visible = await timed(async () => {
    creating = await timed(() => {
      for (let id = 0n; id < TASKS; id += 1n) {
        last = tasks.create(id, 'write the documents', id * STEP_NS);
      }
    });
    await tasks.waitForSeq(last);
  });
  for (let id = 0n; id < TASKS; id += 100n) last = tasks.complete(id, 1n);
  await tasks.waitForSeq(last);

  const newest = { status: TaskStatus.Pending, orderBy: TasksOrderBy.CreatedDesc, limit: 20 };
  const range = (i) => {
    const from = BigInt((i * 7919) % (TASKS - 20)) * STEP_NS;
    return { createdAfterNs: from, createdBeforeNs: from + 19n * STEP_NS };
  };
  // The first query of a kind makes its index.
  tasks.listTasks(newest);
  tasks.listTasks(range(0));
  const newestMicros = await perCall(QUERIES, () => void tasks.listTasks(newest));
  const rangeMicros = await perCall(QUERIES, (i) => void tasks.listTasks(range(i)));
  tasks.listTasks({ titleContains: 'nowhere' });
  const searchMicros = await perCall(
    SEARCHES,
    () => void tasks.listTasks({ titleContains: 'nowhere' }),
  );
  const ownWriteMicros = await perCall(OWN_WRITES, (i) =>
    tasks.waitForSeq(tasks.create(BigInt(i), 'mine', 1n)),
  );
  let bytes = 0;
  const saving = await timed(() => {
    for (let i = 0; i < SNAPSHOTS; i += 1) bytes += tasks.snapshot().stateBytes.length;
  });
  tasks.close();
  return {
    createsPerSecond: TASKS / creating,
    visiblePerSecond: TASKS / visible,
    newestMicros,
    rangeMicros,
    searchMicros,
    ownWriteMicros,
    snapshotMegabytes: bytes / saving / 1e6,
    modelPerSecond: await measureModel(),
  };
}

async function measureModel() {
  const { Redex, defineModel, event, rowsOf } = await import(SDK.href);
  const counters = defineModel({
    name: 'counters',
    rows: rowsOf(),
    events: { counted: event() },
    fold: {
      counted(rows, { name, by }) {
        rows.set(name, { name, value: (rows.get(name)?.value ?? 0) + by });
      },
    },
    indexes: { value: ({ value }) => value % 10 },
  });
  const model = await counters.open(new Redex(), 1n);
  const seconds = await timed(async () => {
    let last = 0n;
    for (let i = 0; i < MODEL_EVENTS; i += 1) {
      last = model.append('counted', { name: `counter ${i % 1000}`, by: 1 });
    }
    await model.waitForSeq(last);
  });
  model.close();
  return MODEL_EVENTS / seconds;
}
