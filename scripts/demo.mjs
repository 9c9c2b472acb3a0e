#!/usr/bin/env node
// `npm run demo [-- FILE] [--json]`: two processes, one encrypted stream, one file, and three refusals.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { NodeProcess } from './demo/node_process.mjs';
import { Progress } from './demo/progress.mjs';
import { introduction, judge, summary } from './demo/report.mjs';
import { SourceError, chooseSource } from './demo/source.mjs';
import { ensure } from './ensure.mjs';
import { StepError, runMain, step } from './shell.mjs';

const USAGE = `Usage: npm run demo [-- [options] [FILE]]

Starts two processes on 127.0.0.1, connects them, sends FILE over an encrypted reliable stream,
verifies it on the other side, and shows what is refused.

  FILE         default: the addon, or 64 MiB of generated data when the addon is small
  --json       print one JSON object and nothing else
  --no-build   run what is built, without looking for what is missing
  --help       this text
`;

/** A transfer that has not moved for so long will not move again. */
const STALL_MS = 20_000;

function parse(argv) {
  let parsed;
  try {
    parsed = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        'no-build': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new StepError(`${error.message}\n\n${USAGE}`);
  }
  const { values, positionals } = parsed;
  if (positionals.length > 1) throw new StepError(`one FILE at a time\n\n${USAGE}`);
  return {
    json: values.json,
    help: values.help,
    build: !values['no-build'],
    file: positionals[0],
  };
}

/** What is missing is installed and built; with `json`, standard output stays clean. */
async function prepare({ json, build }) {
  if (!build) return;
  if (!json) {
    await ensure();
    return;
  }
  await step('npm run build', process.execPath, ['scripts/ensure.mjs'], {
    log: (line) => process.stderr.write(`${line}\n`),
  });
}

/** The whole demo; yields what was measured and seen. */
async function demonstrate(source, say) {
  const progress = new Progress(source.bytes, say.stream);
  const receiver = new NodeProcess('receiver', './receiver.mjs');
  const sender = new NodeProcess('sender', './sender.mjs');
  try {
    const psk = randomBytes(32).toString('hex');
    const [to, from] = await Promise.all([
      receiver.call('open', { psk }),
      sender.call('open', { psk }),
    ]);
    await sender.call('connect', to);
    await receiver.call('expect', { peer: from.nodeId });
    say(introduction({ source, receiver: to, sender: from }));

    let moved = Date.now();
    receiver.onProgress = (bytes) => {
      moved = Date.now();
      progress.update(bytes);
    };
    const transfer = Promise.all([sender.call('send', { source }), receiver.call('received')]);
    const [sent, received] = await whileMoving(transfer, () => moved);
    progress.end();

    const roundTrips = await sender.call('ping');
    const before = await receiver.call('counters');
    const refusals = await sender.call('provoke');
    const after = await receiver.call('counters');
    const windowEvents = await receiver.call('windowEvents');
    await Promise.all([sender.call('close'), receiver.call('close')]);
    return { source, sent, received, roundTrips, refusals, before, after, windowEvents };
  } finally {
    progress.abandon();
    await Promise.all([sender.end(), receiver.end()]);
  }
}

/** The outcome of `transfer`, unless it stops moving. */
async function whileMoving(transfer, lastMove) {
  const over = new AbortController();
  const watch = async () => {
    for (;;) {
      const left = lastMove() + STALL_MS - Date.now();
      if (left <= 0) throw new StepError(`the transfer stood still for ${STALL_MS / 1000} s`);
      await sleep(left, undefined, { signal: over.signal, ref: false });
    }
  };
  try {
    return await Promise.race([transfer, watch()]);
  } finally {
    over.abort();
  }
}

/** Writes a line for people, or nothing when a machine listens. */
function speaker(json) {
  const say = (text) => {
    if (!json) process.stdout.write(`${text}\n`);
  };
  say.stream = json ? undefined : process.stdout;
  return say;
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const say = speaker(options.json);
  try {
    const named = options.file === undefined ? undefined : chooseSource(options.file);
    await prepare(options);
    const result = judge(await demonstrate(named ?? chooseSource(), say));
    if (options.json) process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
    else say(summary(result));
    return result.ok ? 0 : 1;
  } catch (error) {
    if (!options.json) throw error instanceof SourceError ? new StepError(error.message) : error;
    process.stdout.write(`${JSON.stringify({ ok: false, error: error.message })}\n`);
    return 1;
  }
}

await runMain(main);
