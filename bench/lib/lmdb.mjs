import { join } from 'node:path';

/**
 * A database of LMDB with integers as keys, not synced by commits.
 *
 * @param {string} folder
 */
export async function openLmdb(folder) {
  const { open } = await import('lmdb');
  const database = open({
    path: join(folder, 'log.lmdb'),
    encoding: 'binary',
    keyEncoding: 'uint32',
    noSync: true,
    // By default commits are made visible first and synced in the background.
    overlappingSync: false,
  });
  return {
    database,
    count: () => database.getCount(),
    /** @param {number} index */
    read: (index) => database.get(index),
    close: () => database.close(),
  };
}

/** @returns {Promise<null>} it can run wherever it can be loaded */
export async function lmdbUnavailable() {
  await import('lmdb');
  return null;
}
