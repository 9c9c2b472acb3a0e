#!/usr/bin/env node
// What CI runs, and `npm run ci` at a desk: every test, the C++ tests under the sanitizers, lint, format.
// The last line adds up all of them.

import { StepError, Totals, run, runMain, seconds } from './shell.mjs';

/** Of every scenario under the sanitizers, which cost 5 to 20 times the time; all run in npm test. */
const SANITIZER_SEEDS = '4';

const STAGES = [
  { name: 'npm test', command: ['npm', ['test']] },
  {
    name: 'C++ tests under ASan and UBSan',
    command: ['node', ['scripts/test.mjs', '--preset', 'asan']],
    env: { NETMESH_SIM_SEEDS: SANITIZER_SEEDS },
  },
  {
    name: 'C++ tests under TSan',
    command: ['node', ['scripts/test.mjs', '--preset', 'tsan']],
  },
  { name: 'lint', command: ['npm', ['run', 'lint']] },
  { name: 'format', command: ['npm', ['run', 'format:check']] },
];

await runMain(async () => {
  const started = Date.now();
  const totals = new Totals();
  const lines = [];
  for (const { name, command, env } of STAGES) {
    console.log(`\n=== ${name}`);
    const stageStarted = Date.now();
    const { code, output } = await run(...command, {
      env,
      onText: (text) => process.stdout.write(text),
    });
    const counted = Totals.parse(output) ?? new Totals();
    // A stage that fails without saying what failed counts as one failure.
    if (code !== 0 && counted.failed === 0) counted.failed = 1;
    if (counted.passed + counted.failed === 0) throw new StepError(`${name} ran nothing`);
    totals.add(counted);
    lines.push(
      `${counted.failed === 0 ? 'ok  ' : 'FAIL'} ${name}: ${counted} (${seconds(stageStarted)})`,
    );
  }
  console.log(`\n${lines.join('\n')}\nin ${seconds(started)}`);
  console.log(String(totals));
  return totals.failed === 0 ? 0 : 1;
});
