import { join } from 'node:path';

import { databasePeer } from '../lib/log-store.mjs';

const KEY_BYTES = 8;

/** @param {number} index */
function keyOf(index) {
  const key = Buffer.allocUnsafe(KEY_BYTES);
  key.writeBigUInt64BE(BigInt(index));
  return key;
}

export default databasePeer({
  id: 'classic-level',
  label: 'LevelDB (`classic-level`)',
  async unavailable() {
    await import('classic-level');
    return null;
  },
  logs: {
    async open(folder) {
      const { ClassicLevel } = await import('classic-level');
      const encoding = { keyEncoding: 'buffer', valueEncoding: 'buffer' };
      const database = new ClassicLevel(join(folder, 'log.level'), encoding);
      await database.open();
      let next = 0;
      return {
        append: (event) => database.put(keyOf(next++), event),
        appendBatch: (events) =>
          database.batch(events.map((value) => ({ type: 'put', key: keyOf(next++), value }))),
        async count() {
          const keys = database.keys();
          let count = 0;
          while ((await keys.next()) !== undefined) count++;
          await keys.close();
          return count;
        },
        read: (index) => database.get(keyOf(index)),
        close: () => database.close(),
      };
    },
  },
});
