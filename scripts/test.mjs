#!/usr/bin/env node
// `npm test`: makes the checkout ready, then runs the C++ tests and the Jest tests and adds them up.

import fs from 'node:fs';
import path from 'node:path';

import { ensure } from './ensure.mjs';
import { Totals, inParallel, jobs, root, run, runMain, seconds, tail } from './shell.mjs';

/** No test program may take longer; one that hangs is killed and counted as failed. */
const PROGRAM_TIMEOUT_MS = 15 * 60_000;
const FAILURE_LINES = 200;

const USAGE = `Usage: npm test -- [options] [Jest arguments]

  --cpp            only the C++ tests
  --js             only the Jest tests
  --preset NAME    C++ tests of this build: release (default), debug, asan or tsan; implies --cpp
  --filter GLOB    only the C++ tests that match, as in --gtest_filter; implies --cpp
  --help           this text

Anything else goes to Jest, and then only Jest runs: npm test -- test/stream.test.ts -t backpressure
`;

function parse(argv) {
  const options = { cpp: true, js: true, preset: 'release', filter: undefined, jest: [] };
  const rest = [...argv];
  while (rest.length > 0) {
    const arg = rest.shift();
    if (arg === '--help') return { help: true };
    else if (arg === '--cpp') options.js = false;
    else if (arg === '--js') options.cpp = false;
    else if (arg === '--preset' || arg === '--filter') {
      options[arg.slice(2)] = rest.shift();
      options.js = false;
    } else options.jest.push(arg);
  }
  if (options.jest.length > 0) {
    Object.assign(options, { cpp: false, js: true, preset: 'release' });
  }
  return options;
}

/** What a test program is started with, so that the first report of a sanitizer ends it. */
const SANITIZER_ENV = {
  ASAN_OPTIONS: 'abort_on_error=0:detect_stack_use_after_return=1:strict_string_checks=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
};

/** GCC 12's ThreadSanitizer cannot map its shadow under some kernels' address randomisation. */
async function launcher(preset) {
  if (preset !== 'tsan') return [];
  const fixed = ['setarch', '-R'];
  return (await run(fixed[0], [...fixed.slice(1), 'true'])).code === 0 ? fixed : [];
}

async function runCppTests({ preset, filter }) {
  const buildDir = path.join(root, 'build', preset);
  const { tests } = JSON.parse(fs.readFileSync(path.join(buildDir, 'manifest.json'), 'utf8'));
  const prefix = await launcher(preset);
  console.log(`\nC++ tests (${preset})`);
  const results = await inParallel(tests, Math.min(2, jobs()), async (name) => {
    const result = await runProgram(buildDir, prefix, name, filter);
    const { totals, took, report } = result;
    if (totals.passed + totals.failed + totals.skipped > 0) {
      console.log(`  ${totals.failed > 0 ? 'FAIL' : 'ok  '} ${name}: ${totals} (${took})`);
    }
    if (report) console.log(`\n${report}\n`);
    return result;
  });
  return results.reduce((sum, { totals }) => sum.add(totals), new Totals());
}

async function runProgram(buildDir, prefix, name, filter) {
  const reportFile = path.join(buildDir, 'tests', `${name}.json`);
  fs.rmSync(reportFile, { force: true });
  const args = [`--gtest_output=json:${reportFile}`, '--gtest_color=no'];
  if (filter !== undefined) args.push(`--gtest_filter=${filter}`);
  const command = [...prefix, path.join(buildDir, 'tests', name), ...args];
  const started = Date.now();
  const result = await run(command[0], command.slice(1), {
    env: SANITIZER_ENV,
    timeoutMs: PROGRAM_TIMEOUT_MS,
  });
  const totals = fs.existsSync(reportFile)
    ? countReport(JSON.parse(fs.readFileSync(reportFile, 'utf8')))
    : countOutput(result.output);
  // A crash, a leak found at exit, a time-out: something failed that no single test accounts for.
  if (result.code !== 0 && totals.failed === 0) totals.failed = 1;
  return {
    totals,
    took: seconds(started),
    report: result.code === 0 ? '' : explain(name, result),
  };
}

/** Counts the tests of a GoogleTest report. */
function countReport({ testsuites }) {
  const totals = new Totals();
  for (const test of testsuites.flatMap(({ testsuite }) => testsuite)) {
    if (test.status === 'NOTRUN' || test.result === 'SUPPRESSED') {
      // Disabled tests are announced; tests that a filter leaves out are not in the report's count.
      if (/(^|\/)DISABLED_/.test(test.name)) totals.skipped += 1;
    } else if (test.failures?.length > 0) totals.failed += 1;
    else if (test.result === 'SKIPPED') totals.skipped += 1;
    else totals.passed += 1;
  }
  return totals;
}

/** Counts what a program that died has said. */
function countOutput(output) {
  const count = (pattern) => [...output.matchAll(pattern)].length;
  return new Totals().add({
    passed: count(/^\[ {7}OK \]/gm),
    failed: Math.max(1, count(/^\[ {2}FAILED {2}\] .* \(\d+ ms\)$/gm)),
    skipped: count(/^\[ {2}SKIPPED \] .* \(\d+ ms\)$/gm),
  });
}

function explain(name, { output, signal, code, timedOut }) {
  const end = timedOut
    ? `was stopped after ${PROGRAM_TIMEOUT_MS / 60_000} minutes`
    : signal
      ? `was ended by ${signal}`
      : `ended with status ${code}`;
  const lines = output
    .split('\n')
    .filter((line) => !/^\[( RUN {6}| {7}OK |-{10})\]/.test(line))
    .join('\n');
  return `${tail(lines, FAILURE_LINES)}\n${name} ${end}`;
}

async function runJest(args) {
  const outputFile = path.join(root, 'build', 'jest.json');
  fs.mkdirSync(path.dirname(outputFile), { recursive: true });
  fs.rmSync(outputFile, { force: true });
  console.log('\nJest tests');
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const { code } = await run(
    process.execPath,
    [jest, '--json', `--outputFile=${outputFile}`, '--passWithNoTests', ...args],
    { inherit: true },
  );
  const totals = new Totals();
  if (fs.existsSync(outputFile)) {
    const report = JSON.parse(fs.readFileSync(outputFile, 'utf8'));
    totals.add({
      passed: report.numPassedTests,
      // A file that does not load has no tests to count, and still fails.
      failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
      skipped: report.numPendingTests + report.numTodoTests,
    });
  }
  if (code !== 0 && totals.failed === 0) totals.failed = 1;
  return totals;
}

await runMain(async () => {
  const options = parse(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { cpp, js, preset } = options;
  await ensure({ test: cpp, presets: [preset], only: js ? undefined : 'native' });
  // Others may not make devices and namespaces, and those tests say that they are skipped.
  if (js && process.platform === 'linux' && process.getuid() === 0) await ensure({ only: 'link' });

  const started = Date.now();
  const lines = [];
  const totals = new Totals();
  if (cpp) {
    const counted = await runCppTests(options);
    lines.push(`C++ (${preset}): ${counted}`);
    totals.add(counted);
  }
  if (js) {
    const counted = await runJest(options.jest);
    lines.push(`Jest: ${counted}`);
    totals.add(counted);
  }
  console.log(`\n${lines.join('\n')}\nin ${seconds(started)}`);
  console.log(String(totals));
  return totals.failed === 0 ? 0 : 1;
});
