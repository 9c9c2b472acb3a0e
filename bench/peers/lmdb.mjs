import { lmdbUnavailable, openLmdb } from '../lib/lmdb.mjs';
import { databasePeer } from '../lib/log-store.mjs';

export default databasePeer({
  id: 'lmdb',
  label: 'LMDB (`lmdb`), a transaction each',
  unavailable: lmdbUnavailable,
  logs: {
    async open(folder) {
      const { database, ...store } = await openLmdb(folder);
      let next = 0;
      return {
        ...store,
        append: (event) => database.putSync(next++, event),
        appendBatch: (events) =>
          database.transactionSync(() => {
            for (const event of events) database.putSync(next++, event);
          }),
      };
    },
  },
});
