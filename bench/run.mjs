#!/usr/bin/env node
/**
 * Runs the benchmarks: `npm run bench [-- p1 p2 ...] [options]`. See README.md beside this file.
 */
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { replaceBlock } from './lib/documents.mjs';
import { ensurePeersInstalled } from './lib/install.mjs';
import { thisMachine, waitForQuiet } from './lib/machine.mjs';
import { findPeer, firstLine, PEER_IDS } from './lib/peer.mjs';
import { circumstances, compactTable, fullTable, scenarioTable } from './lib/report.mjs';
import { readResults, summarise, writeResults } from './lib/results.mjs';
import { ALL_SCENARIO_IDS, loadScenario } from './lib/scenario.mjs';

const BENCH = fileURLToPath(new URL('./', import.meta.url));
const ROOT = resolve(BENCH, '..');
const LATEST = join(BENCH, 'results', 'latest.json');

const WARMUP_MS = 700;

const USAGE = `npm run bench [-- SCENARIO ...] [options]

  SCENARIO          ${ALL_SCENARIO_IDS.join(' ')}; all when none is named
  --peers A,B       only these of ${PEER_IDS.join(', ')}
  --runs N          rounds, each with every peer in turn (default 5)
  --seconds S       time measured in each run (default 1.5)
  --wait S          before each round, wait up to S seconds for a quiet machine (default 0)
  --json FILE       write the results here too
  --write-docs      rewrite the tables in docs/performance.md and README.md
  --help`;

/** @param {string[]} argv */
function parse(argv) {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      peers: { type: 'string' },
      runs: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '1.5' },
      wait: { type: 'string', default: '0' },
      json: { type: 'string' },
      'write-docs': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const scenarioIds = positionals.map((id) => id.toLowerCase());
  const peerIds = values.peers?.split(',') ?? PEER_IDS;
  const runs = Number(values.runs);
  const seconds = Number(values.seconds);
  const wait = Number(values.wait);
  refuseUnknown('scenario', scenarioIds, ALL_SCENARIO_IDS);
  refuseUnknown('peer', peerIds, PEER_IDS);
  if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs takes a whole number from 1');
  if (!(seconds > 0 && seconds <= 30)) throw new Error('--seconds takes a number up to 30');
  if (!(wait >= 0)) throw new Error('--wait takes a number of seconds');
  return {
    help: values.help,
    scenarioIds: scenarioIds.length > 0 ? scenarioIds : ALL_SCENARIO_IDS,
    peerIds,
    runs,
    measureMs: seconds * 1e3,
    waitMs: wait * 1e3,
    json: values.json,
    writeDocs: values['write-docs'],
  };
}

/**
 * @param {string} kind
 * @param {string[]} given
 * @param {string[]} known
 */
function refuseUnknown(kind, given, known) {
  const unknown = given.filter((id) => !known.includes(id));
  if (unknown.length > 0) {
    throw new Error(`unknown ${kind} ${unknown.join(', ')}; there are ${known.join(', ')}`);
  }
}

/**
 * Runs one scenario: in every round each peer once, so that a slow moment of the machine meets all.
 *
 * @param {import('./lib/scenario.mjs').Scenario} scenario
 * @param {{ peerIds: string[], runs: number, measureMs: number, waitMs: number }} options
 */
async function runScenario(scenario, { peerIds, runs, measureMs, waitMs }) {
  let busyRounds = 0;
  print(`\n${scenario.id.toUpperCase()} ${scenario.title}`);
  const peers = await Promise.all(
    scenario.peers.filter((id) => peerIds.includes(id)).map((id) => preparePeer(id)),
  );
  /** @type {import('./lib/scenario.mjs').ScenarioRun | undefined} */
  let run;
  try {
    if (peers.some(({ ready }) => ready !== undefined)) {
      run = await scenario.begin({ warmupMs: WARMUP_MS, measureMs });
    }
    for (let round = 1; run !== undefined && round <= runs; round++) {
      if (!(await waitForQuiet(waitMs))) {
        busyRounds++;
        print(`  round ${round}/${runs}  (other processes keep the machine busy)`);
      }
      for (const peer of peers) {
        if (peer.ready === undefined) continue;
        const { ready, rounds } = peer;
        const reading = await run.measure(ready.peer, ready.shared.data).catch((error) => {
          peer.skipped ??= firstLine(error);
          print(`  round ${round}/${runs}  ${peer.id}: failed: ${error.message}`);
          return null;
        });
        rounds.push(reading);
        if (reading !== null) {
          print(`  round ${round}/${runs}  ${peer.id.padEnd(17)} ${inOneLine(scenario, reading)}`);
        }
      }
    }
  } catch (error) {
    for (const peer of peers) peer.skipped ??= firstLine(error);
    print(`  skipped: ${firstLine(error)}`);
  } finally {
    await run?.end();
    await Promise.all(peers.map(({ ready }) => ready?.shared.close()));
  }
  return summarise(scenario, peers, { runs, busyRounds, circumstances: run?.circumstances });
}

/**
 * @typedef {import('./lib/results.mjs').PeerRounds & {
 *   ready?: { peer: import('./lib/peer.mjs').Peer, shared: import('./lib/peer.mjs').Shared } }
 * } PreparedPeer
 */

/**
 * @param {string} id
 * @returns {Promise<PreparedPeer>}
 */
async function preparePeer(id) {
  const { peer, reason } = await findPeer(id);
  if (reason !== null) return skip(id, peer.label, reason);
  try {
    return { id, label: peer.label, rounds: [], ready: { peer, shared: await peer.prepare() } };
  } catch (error) {
    return skip(id, peer.label, firstLine(error));
  }
}

/**
 * @param {string} id
 * @param {string} label
 * @param {string} reason
 * @returns {PreparedPeer}
 */
function skip(id, label, reason) {
  print(`  ${id} skipped: ${reason}`);
  return { id, label, rounds: [], skipped: reason };
}

/**
 * @param {import('./lib/scenario.mjs').Scenario} scenario
 * @param {Record<string, number>} reading
 */
function inOneLine({ metrics }, reading) {
  return metrics
    .filter(({ key }) => reading[key] !== undefined)
    .map(({ key, label, unit }) => {
      const value = reading[key];
      const shown = value >= 1000 ? Math.round(value).toLocaleString('fr') : value.toPrecision(3);
      return `${label} ${shown} ${unit}`;
    })
    .join('   ');
}

/** @param {string} line */
function print(line) {
  process.stdout.write(`${line}\n`);
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.help) {
    print(USAGE);
    return;
  }
  const trouble = await ensurePeersInstalled(BENCH);
  if (trouble !== null) print(`The peers could not be installed: ${trouble}`);

  const machine = thisMachine();
  const results = await readResults(LATEST, machine);
  for (const id of options.scenarioIds) {
    const result = await runScenario(await loadScenario(id), options);
    results.scenarios[id] = result;
    await writeResults(LATEST, results);
    print(`\n${scenarioTable(id, result)}`);
  }
  print(`\n${circumstances(results)}`);
  if (options.json !== undefined) await writeResults(resolve(options.json), results);
  if (options.writeDocs) await writeDocuments(results);
}

/** @param {import('./lib/results.mjs').Results} results */
async function writeDocuments(results) {
  const measured = circumstances(results);
  const rerun = 'Written by `npm run bench -- --write-docs`; how it is measured: ';
  await replaceBlock(
    join(ROOT, 'docs', 'performance.md'),
    '# Performance',
    `${measured}\n${rerun}[bench/README.md](../bench/README.md).\n\n${fullTable(results)}`,
  );
  await replaceBlock(
    join(ROOT, 'README.md'),
    '## How it compares',
    `${compactTable(results)}\n\n${measured}\n${rerun}[bench/README.md](bench/README.md).`,
  );
}

main().catch((error) => {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
});
