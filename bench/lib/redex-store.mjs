const SDK = new URL('../../dist/index.js', import.meta.url);

/** @type {import('./log-store.mjs').Logs} */
export const redexLogs = {
  memory: true,
  async open(folder, memory = false) {
    const { Redex } = await import(SDK.href);
    const file = new Redex({ persistentDir: folder }).openFile('bench', { persistent: !memory });
    return {
      append: (event) => void file.append(event),
      appendBatch: (events) => void file.appendBatch(events),
      count: () => Number(file.len()),
      read: (index) => file.readRange(BigInt(index), BigInt(index) + 1n)[0]?.payload,
      async follow(onEvent) {
        const tail = await file.tail(file.stats().nextSeq);
        const reading = (async () => {
          for await (const { payload } of tail) onEvent(payload);
        })();
        return async () => {
          await tail.return();
          await reading;
        };
      },
      close: () => file.close(),
    };
  },
};
