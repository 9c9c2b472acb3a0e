/**
 * What a file in `scenarios/` exports.
 *
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} title
 * @property {string[]} peers     ids of the peers that can take part, in the order in which they run
 * @property {Metric[]} metrics
 * @property {Bar[]} bars
 * @property {(context: RunContext) => Promise<ScenarioRun>} begin
 *
 * @typedef {object} Metric
 * @property {string} key
 * @property {string} label
 * @property {string} unit
 * @property {'higher' | 'lower'} better
 * @property {'row' | 'beside' | 'json'} [shown]  a row of its own in the tables (the default), in
 *   brackets in the row before, or only in the JSON
 *
 * @typedef {object} Bar   what netmesh is held to, in one metric
 * @property {string} metric
 * @property {string} [against]  peer; the bar is then a ratio netmesh / peer, else a figure
 * @property {string} [subject]  peer that stands for netmesh: one of its variants
 * @property {number} [bar]
 * @property {number} [goal]
 *
 * @typedef {object} RunContext
 * @property {number} warmupMs
 * @property {number} measureMs
 *
 * @typedef {object} ScenarioRun
 * @property {(peer: import('./peer.mjs').Peer, shared: unknown) => Promise<Record<string, number>>} measure
 *   one reading: a value for each metric that the peer has
 * @property {string} [circumstances]  what a reader of the figures has to know beside them, in a clause
 * @property {() => Promise<void>} end
 */

import { measureThroughput } from './throughput.mjs';

/** The peers of every scenario that moves events. */
export const EVENT_PEERS = [
  'netmesh',
  'netmesh-messages',
  'tls',
  'tls-packed',
  'secret-stream',
  'zeromq',
  'nats',
  'libp2p',
];

export const ALL_SCENARIO_IDS = [
  'p1',
  'p2',
  'p3',
  'p4',
  'p6',
  'p7',
  'p8',
  'p9',
  'p11',
  'p12',
  'p14',
  'cortex',
];

/**
 * @param {string} id
 * @returns {Promise<Scenario>}
 */
export async function loadScenario(id) {
  const { default: scenario } = await import(
    new URL(`../scenarios/${id}.mjs`, import.meta.url).href
  );
  return scenario;
}

/**
 * Scenario "events of one size over one reliable stream, as fast as they go".
 *
 * @param {Pick<Scenario, 'id' | 'title'> & {
 *   eventBytes: number, batchLength: number, bars: Omit<Bar, 'metric'>[] }} options
 * @returns {Scenario}
 */
export function throughputScenario({ id, title, eventBytes, batchLength, bars }) {
  return {
    id,
    title,
    peers: EVENT_PEERS,
    metrics: [
      { key: 'eventsPerSecond', label: 'events', unit: 'events/s', better: 'higher' },
      {
        key: 'megabytesPerSecond',
        label: 'payload',
        unit: 'MB/s',
        better: 'higher',
        shown: 'beside',
      },
      { key: 'senderCores', label: 'sender', unit: 'cores', better: 'lower', shown: 'json' },
      { key: 'receiverCores', label: 'receiver', unit: 'cores', better: 'lower', shown: 'json' },
    ],
    bars: bars.map((bar) => ({ ...bar, metric: 'eventsPerSecond' })),
    async begin({ warmupMs, measureMs }) {
      const options = { eventBytes, batchLength, warmupMs, measureMs };
      return {
        measure: async (peer, shared) => ({ ...(await measureThroughput(peer, shared, options)) }),
        end: async () => {},
      };
    },
  };
}
