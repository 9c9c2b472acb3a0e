import { lmdbUnavailable, openLmdb } from '../lib/lmdb.mjs';
import { databasePeer } from '../lib/log-store.mjs';

/** Appends under way at a time. */
const WINDOW = 4096;

/** Its own batching: commits happen on a thread, of whatever was put until then. */
export default databasePeer({
  id: 'lmdb-queued',
  label: 'LMDB, `put` without waiting for the commit',
  unavailable: lmdbUnavailable,
  logs: {
    async open(folder) {
      const { database, ...store } = await openLmdb(folder);
      let next = 0;
      let promised = 0;
      /** @param {Promise<boolean>} committed */
      const paced = (committed) => {
        if (next - promised < WINDOW) return undefined;
        promised = next;
        return committed;
      };
      return {
        ...store,
        append: (event) => paced(database.put(next++, event)),
        appendBatch: (events) =>
          paced(
            database.batch(() => {
              for (const event of events) void database.put(next++, event);
            }),
          ),
        async count() {
          await database.committed;
          return store.count();
        },
      };
    },
  },
});
