#!/usr/bin/env node
// `npm run soak -- --seconds N`: constant mixed traffic over real sockets, peers that come and go in every way, and
// memory sampled all the time, which must stay flat.

import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, parseArgs } from 'node:util';

import { ensure } from './ensure.mjs';
import { StepError, runMain } from './shell.mjs';
import { describe, judge } from './soak/judge.mjs';

/** Peers at the same time. */
const PLACES = 3;
const LEAST_LIFE_MS = 300;
const MOST_LIFE_MS = 4000;
/** Traffic between two samples: a sixtieth of the whole, and at least so much. */
const LEAST_ROUND_MS = 1500;
const ROUNDS = 60;
/** A trend needs so many, however slow the machine is. */
const LEAST_SAMPLES = 7;
/** Shutting down may wait for what was sent. */
const GRACE_MS = 15_000;
const PROGRESS_MS = 30_000;
const DEPARTURES = ['shutdown', 'disconnect', 'vanish'];
/** Every other peer of a place comes back as the one before: same identity, new session. */
const IDENTITIES_PER_PLACE = 2;

const USAGE = `Usage: npm run soak -- [options]

  --seconds N    how long (default 300)
  --seed N       of lives and departures (default 1)
  --json FILE    all samples and the verdict
  --leak KIB     keeps so much a second on purpose, to see the verdict change
  --no-build     takes what is built
  --help         this text
`;

const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

function start(module, { args = [], execArgv = [], env } = {}) {
  const child = fork(new URL(`./soak/${module}`, import.meta.url), args, {
    execArgv,
    env: { ...process.env, ...env },
    serialization: 'advanced',
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** The next message of a child, or the failure to send one. */
async function answer(child, who, timeoutMs) {
  const stop = new AbortController();
  const options = { signal: stop.signal };
  const late = sleep(timeoutMs, undefined, options).then(() => {
    throw new StepError(`${who} does not answer within ${timeoutMs / 1e3} s`);
  });
  const gone = once(child, 'exit', options).then(([code, signal]) => {
    throw new StepError(`${who} ended early (${signal ?? code})`);
  });
  try {
    return (await Promise.race([once(child, 'message', options), gone, late]))[0];
  } finally {
    stop.abort();
    await Promise.allSettled([gone, late]);
  }
}

/** What a late peer is doing, for the message about it. */
async function stateOf(child) {
  if (!child.connected) return '';
  child.send('state');
  const { state } = await answer(child, 'its state', GRACE_MS).catch(() => ({}));
  return inspect(state, { depth: 4, breakLength: 120 });
}

/** Small numbers that follow from the seed, a place and a turn. */
function chance(...parts) {
  return createHash('sha256').update(parts.join(' ')).digest().readUInt32LE(0);
}

/** One peer after the other in one place, until the round is over. */
async function fillPlace(
  place,
  hub,
  { hubProcess, seed, until, mostLifeMs, turns, tally, signal },
) {
  while (Date.now() < until && !signal.aborted) {
    const turn = turns[place]++;
    const roll = chance(seed, place, turn);
    const lifeMs = LEAST_LIFE_MS + (roll % (mostLifeMs - LEAST_LIFE_MS));
    const departure = DEPARTURES[(roll >>> 16) % DEPARTURES.length];
    const identity = `${seed} ${place} ${Math.floor(turn / IDENTITIES_PER_PLACE)}`;
    const identitySeed = createHash('sha256').update(identity).digest();
    const child = start('peer.mjs');
    const exited = once(child, 'exit');
    child.send({ hub, lifeMs, identitySeed, departure });
    const who = `peer ${turn} of place ${place} (${departure})`;
    const result = answer(child, who, lifeMs + GRACE_MS);
    const { echoed, misordered } = await result.catch(async (error) => {
      const states = [`${who}: ${await stateOf(child)}`, `the hub: ${await stateOf(hubProcess)}`];
      throw new StepError([error.message, ...states].join('\n'));
    });
    if (departure === 'vanish') child.kill('SIGKILL');
    else child.send('heard');
    const left = await Promise.race([exited, sleep(GRACE_MS, 'late', { ref: false })]);
    if (left === 'late') throw new StepError(`${who} does not leave`);
    tally.peers++;
    tally.echoed += echoed;
    tally.misordered += misordered;
  }
}

function parse(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      seconds: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      json: { type: 'string' },
      leak: { type: 'string', default: '0' },
      'no-build': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const seconds = Number(values.seconds);
  const leak = Number(values.leak);
  if (!(seconds >= 5 && seconds <= 86_400)) {
    throw new StepError('--seconds takes a number from 5 to 86400');
  }
  if (!(leak >= 0)) throw new StepError('--leak takes a number of KiB');
  return { ...values, seconds, leak };
}

await runMain(async () => {
  const options = parse(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!options['no-build']) await ensure();

  const hubProcess = start('hub.mjs', {
    args: [String(options.leak)],
    execArgv: ['--expose-gc'],
    // One arena: with one per thread, glibc keeps what a burst has freed, and a late burst looks like a leak.
    env: { MALLOC_ARENA_MAX: '1' },
  });
  const hub = await answer(hubProcess, 'the hub', GRACE_MS);
  const began = Date.now();
  const tally = { peers: 0, echoed: 0, misordered: 0 };
  const progress = setInterval(() => {
    const seconds = ((Date.now() - began) / 1e3).toFixed(0);
    console.log(`  ${seconds} s: ${tally.peers} peers came and went, ${tally.echoed} echoes`);
  }, PROGRESS_MS);
  const until = began + options.seconds * 1e3;
  const roundMs = Math.max(LEAST_ROUND_MS, (options.seconds * 1e3) / ROUNDS);
  const mostLifeMs = Math.min(MOST_LIFE_MS, roundMs);
  const turns = new Array(PLACES).fill(0);
  const { seed } = options;
  const failed = new AbortController();
  try {
    for (let samples = 0; Date.now() < until || samples < LEAST_SAMPLES;) {
      const round = Date.now() + roundMs;
      const options = {
        hubProcess,
        until: round,
        mostLifeMs,
        turns,
        tally,
        signal: failed.signal,
        seed,
      };
      await Promise.all(turns.map((_, place) => fillPlace(place, hub, options)));
      hubProcess.send('sample');
      ({ samples } = await answer(hubProcess, 'the hub', GRACE_MS));
    }
  } catch (error) {
    // One failure ends it: no place starts another peer, and none of the children stays.
    failed.abort();
    for (const child of children) child.kill('SIGKILL');
    throw error;
  } finally {
    clearInterval(progress);
  }
  hubProcess.send('end');
  const { samples, totals, nodeStats } = await answer(hubProcess, 'the hub', GRACE_MS);
  hubProcess.disconnect();

  const verdicts = judge(samples);
  for (const verdict of verdicts) console.log(describe(verdict));
  const ordered = totals.misordered + tally.misordered === 0;
  console.log(
    `${ordered ? 'ok  ' : 'FAIL'} order: ${totals.messages} messages, ${tally.echoed} echoes, ` +
      `${totals.misordered + tally.misordered} out of order`,
  );
  const mib = (totals.bytes / 1024 / 1024).toFixed(0);
  console.log(
    `${tally.peers} peers came and went, ${mib} MiB arrived, ${totals.large} messages of 1 MiB, ` +
      `${samples.at(-1).seconds.toFixed(0)} s`,
  );
  if (options.json !== undefined) {
    const stats = Object.fromEntries(
      Object.entries(nodeStats).map(([name, value]) => [name, Number(value)]),
    );
    const result = { samples, verdicts, totals, tally, stats };
    fs.writeFileSync(options.json, `${JSON.stringify(result, null, 1)}\n`);
  }
  return ordered && verdicts.every(({ flat }) => flat) ? 0 : 1;
});
