import { join } from 'node:path';

import { databasePeer } from '../lib/log-store.mjs';

export default databasePeer({
  id: 'better-sqlite3',
  label: 'SQLite (`better-sqlite3`), WAL',
  async unavailable() {
    const { default: Database } = await import('better-sqlite3');
    new Database(':memory:').close();
    return null;
  },
  logs: {
    async open(folder) {
      const { default: Database } = await import('better-sqlite3');
      const database = new Database(join(folder, 'log.sqlite'));
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = OFF');
      database.exec('CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, payload BLOB)');
      const insert = database.prepare('INSERT INTO log (payload) VALUES (?)');
      const select = database.prepare('SELECT payload FROM log WHERE seq = ?').pluck();
      const count = database.prepare('SELECT count(*) FROM log').pluck();
      return {
        append: (event) => void insert.run(event),
        appendBatch: database.transaction((/** @type {Buffer[]} */ events) => {
          for (const event of events) insert.run(event);
        }),
        count: () => count.get(),
        read: (index) => select.get(index + 1),
        close: () => void database.close(),
      };
    },
  },
});
