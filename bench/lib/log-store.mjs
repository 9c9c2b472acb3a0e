/**
 * What a peer that takes part in P8 offers as `logs`: events kept in the order in which they were appended,
 * in a folder, without a sync of each.
 *
 * @typedef {object} Logs
 * @property {(folder: string, memory?: boolean) => Promise<LogStore>} open
 *   `memory` only for those that say so
 * @property {boolean} [memory]  whether it can keep a log in memory alone
 *
 * @typedef {object} LogStore   a promise means "wait for it before the next call"
 * @property {(event: Buffer) => unknown} append   done when the event survives this process
 * @property {(events: Buffer[]) => unknown} appendBatch  all of them or none
 * @property {() => unknown} count   how many events there are
 * @property {(index: number) => unknown} read  the bytes of one of them
 * @property {(onEvent: (event: Uint8Array) => void) => Promise<() => Promise<void>>} [follow]
 *   every event that is appended from now on; what is returned ends that
 * @property {() => unknown} close
 */

/**
 * A peer that is a database and carries no events between processes.
 *
 * @param {{ id: string, label: string, logs: Logs, unavailable: () => Promise<string | null> }} peer
 * @returns {import('./peer.mjs').Peer}
 */
export function databasePeer({ id, label, logs, unavailable }) {
  const refuse = () => Promise.reject(new Error(`${label} carries no events`));
  return {
    id,
    label,
    security: 'none',
    unavailable,
    prepare: async () => ({ data: null, close: async () => {} }),
    createReceiver: refuse,
    createSender: refuse,
    logs,
  };
}
