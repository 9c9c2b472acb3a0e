#!/usr/bin/env node
// Builds the fuzz targets and runs each for a while: `npm run fuzz -- [--seconds N] [--target NAME]`.
// Fails when a target crashes, and says where the input is that made it crash.

import { spawn } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const buildDir = path.join(root, 'build', 'fuzz');
const seedDir = path.join(root, 'test', 'fuzz', 'corpus');

/** Targets that run at the same time; each is one busy thread. */
const PARALLEL = 2;
/** Longest input, above the largest datagram of the protocol (8210 bytes). */
const MAX_INPUT_BYTES = 8400;
/** A single input that takes longer is a defect; a busy machine may halt a run for a while. */
const INPUT_TIMEOUT_SECONDS = 60;

const USAGE = `Usage: npm run fuzz -- [--seconds N] [--target NAME]...

  --seconds N     run every target for N seconds (default 60)
  --target NAME   only this target, for example frames; may be repeated
  --help          this text
`;

/** Runs a program to its end and yields its exit code and what it wrote to stderr. */
function run(command, args, { quiet = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', quiet ? 'ignore' : 'inherit', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text) => {
      stderr += text;
      if (!quiet) process.stderr.write(text);
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code: code ?? 1, signal, stderr }));
  });
}

/** Builds the wanted targets, or all of them, and yields their names. */
async function build(wanted) {
  try {
    const { code, stderr } = await run('clang++-14', ['--version'], { quiet: true });
    if (code !== 0) throw new Error(stderr);
  } catch {
    throw new Error('fuzzing needs clang++-14 with libFuzzer: apt-get install clang-14');
  }
  const configured = await run('cmake', ['--preset', 'fuzz'], { quiet: true });
  if (configured.code !== 0) throw new Error(`cmake --preset fuzz failed:\n${configured.stderr}`);
  const { fuzzers } = JSON.parse(await readFile(path.join(buildDir, 'manifest.json'), 'utf8'));
  const targets = select(fuzzers, wanted);
  const built = await run('cmake', ['--build', '--preset', 'fuzz', '--target', ...targets]);
  if (built.code !== 0) throw new Error('the fuzz targets do not build');
  return targets;
}

/** Picks the targets that were asked for; `frames` means `fuzz_frames`. */
function select(all, wanted) {
  if (wanted.length === 0) return all;
  return wanted.map((name) => {
    const target = all.find((known) => known === name || known === `fuzz_${name}`);
    if (target === undefined)
      throw new Error(`there is no target "${name}"; known are: ${all.join(', ')}`);
    return target;
  });
}

function parseSeed(line, where) {
  const separator = line.indexOf(' ');
  const name = line.slice(0, separator);
  const input = line.slice(separator + 1);
  if (separator > 0 && input.startsWith('"'))
    return { name, bytes: Buffer.from(JSON.parse(input)) };
  if (separator > 0 && /^(?:[0-9a-f]{2})+$/.test(input))
    return { name, bytes: Buffer.from(input, 'hex') };
  throw new Error(`${where}: a line is a name, a blank, and hexadecimal bytes or a JSON string`);
}

/** Writes the checked-in seeds of a target as files beside the units found earlier. */
async function plantSeeds(target, corpusDir) {
  await mkdir(corpusDir, { recursive: true });
  const file = path.join(seedDir, target, 'seeds.txt');
  const text = await readFile(file, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  for (const line of text.split('\n').filter(Boolean)) {
    const { name, bytes } = parseSeed(line, path.relative(root, file));
    await writeFile(path.join(corpusDir, `seed-${name}`), bytes);
  }
}

/** The last number that follows `label` in a fuzzer's output. */
function lastNumber(text, label) {
  const matches = [...text.matchAll(new RegExp(`${label}\\s*(\\d+)`, 'g'))];
  return matches.length === 0 ? undefined : Number(matches.at(-1)[1]);
}

async function fuzz(target, seconds) {
  const corpusDir = path.join(buildDir, 'corpus', target);
  const artifactDir = path.join(buildDir, 'artifacts', target);
  await plantSeeds(target, corpusDir);
  await mkdir(artifactDir, { recursive: true });
  const before = new Set(await readdir(artifactDir));

  const result = await run(
    path.join(buildDir, 'fuzzers', target),
    [
      `-max_total_time=${seconds}`,
      `-max_len=${MAX_INPUT_BYTES}`,
      `-timeout=${INPUT_TIMEOUT_SECONDS}`,
      `-artifact_prefix=${artifactDir}${path.sep}`,
      '-print_final_stats=1',
      corpusDir,
    ],
    { quiet: true },
  );
  const artifacts = (await readdir(artifactDir)).filter((name) => !before.has(name));
  return {
    target,
    failed: result.code !== 0,
    executions: lastNumber(result.stderr, 'stat::number_of_executed_units:'),
    coverage: lastNumber(result.stderr, '\\bcov:'),
    newUnits: lastNumber(result.stderr, 'stat::new_units_added:'),
    artifacts: artifacts.map((name) => path.relative(root, path.join(artifactDir, name))),
    report: result.stderr,
  };
}

/** Runs `work` over `items`, PARALLEL at a time; results keep the order of the items. */
async function inParallel(items, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return results;
}

function printTable(results) {
  const rows = [['target', 'execs', 'coverage', 'new units', 'result']];
  for (const result of results) {
    const numbers = [result.executions, result.coverage, result.newUnits].map(
      (n) => n?.toLocaleString('en') ?? '-',
    );
    rows.push([result.target, ...numbers, result.failed ? 'CRASH' : 'ok']);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column === 0 || column === row.length - 1
        ? cell.padEnd(widths[column])
        : cell.padStart(widths[column]),
    );
    console.log(cells.join('  ').trimEnd());
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      target: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const seconds = Number(values.seconds);
  // Zero would mean "for ever" to libFuzzer.
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new Error('--seconds must be a whole number above 0');

  const targets = await build(values.target);
  console.log(`${targets.length} targets, ${seconds} s each, ${PARALLEL} at a time`);
  const results = await inParallel(targets, (target) => fuzz(target, seconds));
  printTable(results);

  const failures = results.filter((result) => result.failed);
  for (const { target, artifacts, report } of failures) {
    console.error(`\n${target} failed:\n${report.split('\n').slice(-60).join('\n')}`);
    for (const artifact of artifacts) {
      console.error(`reproduce with: build/fuzz/fuzzers/${target} ${artifact}`);
    }
  }
  return failures.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
