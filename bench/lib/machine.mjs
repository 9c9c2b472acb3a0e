import { availableParallelism, cpus, release, type } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * @typedef {object} Machine
 * @property {string} cpu
 * @property {number} cores
 * @property {string} kernel
 * @property {string} node
 */

/** @returns {Machine} */
export function thisMachine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    // Without the vendor's suffix: it says nothing about speed.
    kernel: `${type()} ${/^[\d.]+/.exec(release())?.[0] ?? release()}`,
    node: process.version,
  };
}

/** Time looked at to tell whether others are at work. */
const LOOK_MS = 250;

/** Share of the machine that others may use without disturbing a measurement. */
const QUIET_SHARE = 0.15;

/**
 * Waits until no other process keeps the machine busy, for a while at most.
 *
 * @param {number} limitMs
 * @returns {Promise<boolean>} whether it is quiet now
 */
export async function waitForQuiet(limitMs) {
  const until = Date.now() + limitMs;
  for (;;) {
    const before = processorTimes();
    await sleep(LOOK_MS);
    const after = processorTimes();
    const share = (after.busy - before.busy) / (after.all - before.all);
    if (share <= QUIET_SHARE) return true;
    if (Date.now() >= until) return false;
  }
}

function processorTimes() {
  let busy = 0;
  let idle = 0;
  for (const { times } of cpus()) {
    busy += times.user + times.nice + times.sys + times.irq;
    idle += times.idle;
  }
  return { busy, all: busy + idle };
}
