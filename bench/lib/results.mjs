import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { median, rounded } from './statistics.mjs';

/**
 * @typedef {object} Results  what is written as JSON
 * @property {import('./machine.mjs').Machine} machine
 * @property {Record<string, ScenarioResult>} scenarios  by id; the latest run of each
 *
 * @typedef {object} ScenarioResult
 * @property {string} title
 * @property {string} date   day of the run
 * @property {number} runs
 * @property {number} busyRounds  rounds that began while other processes kept the machine busy
 * @property {string} [circumstances]  of this scenario alone
 * @property {PeerResult[]} peers
 * @property {BarResult[]} bars
 *
 * @typedef {object} PeerResult
 * @property {string} id
 * @property {string} label
 * @property {string} [skipped]  why there are no figures
 * @property {MetricResult[]} metrics
 *
 * @typedef {object} MetricResult
 * @property {string} key
 * @property {string} label
 * @property {string} unit
 * @property {'row' | 'beside' | 'json'} shown
 * @property {(number | null)[]} values  one for each round, null where it failed
 * @property {number} median
 * @property {number} min
 * @property {number} max
 * @property {number} [ratio]  median over the rounds of netmesh / this peer
 *
 * @typedef {object} BarResult
 * @property {string} metric
 * @property {string} [against]
 * @property {string} [subject]
 * @property {'higher' | 'lower'} better
 * @property {number} [bar]
 * @property {number} [goal]
 * @property {number | null} value  ratio or figure reached; null when it was not measured
 * @property {boolean | null} met
 * @property {boolean | null} goalMet
 */

/** The peer that the others are compared with. */
const SUBJECT = 'netmesh';

/**
 * @typedef {object} PeerRounds
 * @property {string} id
 * @property {string} label
 * @property {string} [skipped]
 * @property {(Record<string, number> | null)[]} rounds
 */

/**
 * @param {import('./scenario.mjs').Scenario} scenario
 * @param {PeerRounds[]} peers
 * @param {{ runs: number, busyRounds: number, circumstances?: string }} measured
 * @returns {ScenarioResult}
 */
export function summarise(scenario, peers, { runs, busyRounds, circumstances }) {
  const subject = peers.find(({ id }) => id === SUBJECT);

  /**
   * @param {PeerRounds} peer
   * @param {string} key
   * @param {PeerRounds | undefined} [numerator]
   */
  function ratioTo(peer, key, numerator = subject) {
    const ratios = [];
    for (const [round, reading] of peer.rounds.entries()) {
      const ours = numerator?.rounds[round];
      if (ours?.[key] !== undefined && reading?.[key] !== undefined)
        ratios.push(ours[key] / reading[key]);
    }
    return ratios.length > 0 ? rounded(median(ratios)) : undefined;
  }

  const peerResults = peers.map((peer) => {
    const metrics = scenario.metrics.flatMap(({ key, label, unit, shown = 'row' }) => {
      const values = peer.rounds.map((reading) =>
        reading?.[key] === undefined ? null : rounded(reading[key]),
      );
      const present = values.filter((value) => value !== null);
      if (present.length === 0) return [];
      return {
        key,
        label,
        unit,
        shown,
        values,
        median: rounded(median(present)),
        min: Math.min(...present),
        max: Math.max(...present),
        ratio: peer === subject ? undefined : ratioTo(peer, key),
      };
    });
    return { id: peer.id, label: peer.label, skipped: peer.skipped, metrics };
  });

  /** @param {string | undefined} id */
  const roundsOf = (id) => peers.find((peer) => peer.id === id);

  const bars = scenario.bars.map(({ metric, against, subject: variant, bar, goal }) => {
    const { better } = /** @type {import('./scenario.mjs').Metric} */ (
      scenario.metrics.find(({ key }) => key === metric)
    );
    const own = peerResults.find(({ id }) => id === (variant ?? SUBJECT))?.metrics;
    const other = roundsOf(against);
    const value =
      (against === undefined
        ? own?.find(({ key }) => key === metric)?.median
        : other && ratioTo(other, metric, roundsOf(variant ?? SUBJECT))) ?? null;
    /** @param {number | undefined} limit */
    const reaches = (limit) => {
      if (value === null || limit === undefined) return null;
      return better === 'higher' ? value >= limit : value <= limit;
    };
    return {
      metric,
      against,
      subject: variant,
      better,
      bar,
      goal,
      value,
      met: reaches(bar),
      goalMet: reaches(goal),
    };
  });

  const date = new Date().toISOString().slice(0, 10);
  const { title } = scenario;
  return { title, date, runs, busyRounds, circumstances, peers: peerResults, bars };
}

/**
 * Results of earlier runs on this same machine, else none: figures of two machines do not compare.
 *
 * @param {string} file
 * @param {import('./machine.mjs').Machine} machine
 * @returns {Promise<Results>}
 */
export async function readResults(file, machine) {
  /** @type {Results} */
  const none = { machine, scenarios: {} };
  try {
    const results = JSON.parse(await readFile(file, 'utf8'));
    return JSON.stringify(results.machine) === JSON.stringify(machine) ? results : none;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return none;
    throw error;
  }
}

/**
 * @param {string} file
 * @param {Results} results
 */
export async function writeResults(file, results) {
  await mkdir(dirname(file), { recursive: true });
  const json = JSON.stringify(results, null, 2);
  // Lists of numbers on one line each, as the formatter of the repository has them.
  const compact = json.replace(/\[\s+([-\d.e+,\snul]+?)\s+\]/g, (_, numbers) => {
    return `[${numbers.replace(/\s+/g, ' ')}]`;
  });
  await writeFile(file, `${compact}\n`);
}
