// Runs a list of checks, each one a command; a check counts as one test.

import { Totals, run, seconds, tail } from './shell.mjs';

/**
 * Runs `{ name, command: [program, ...args] }` or `{ name, check: () => string[] }` one after another. A
 * command fails by its status, a function by the problems that it lists. Prints a line for each.
 */
export async function runChecks(checks) {
  const totals = new Totals();
  for (const { name, command, check, hint } of checks) {
    const started = Date.now();
    const problems = command === undefined ? check().join('\n') : await problemsOf(command);
    const ok = problems === '';
    totals.add(ok ? { passed: 1 } : { failed: 1 });
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds(started)})`);
    if (!ok) console.log(`${tail(problems, 200)}${hint === undefined ? '' : `\n${hint}`}\n`);
  }
  console.log(String(totals));
  return totals;
}

async function problemsOf([program, ...args]) {
  const { code, output } = await run(program, args);
  return code === 0 ? '' : output.trim() || `${program} ended with status ${code}`;
}
