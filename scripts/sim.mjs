#!/usr/bin/env node
// `npm run sim -- --seeds N`: the simulator's scenarios over more seeds than `npm test` has time for, or
// one seed again with its timeline.

import path from 'node:path';

import { ensure } from './ensure.mjs';
import { StepError, root, run, runMain } from './shell.mjs';

const PRESETS = ['release', 'debug', 'asan', 'tsan'];

await runMain(async () => {
  const args = process.argv.slice(2);
  const at = args.indexOf('--preset');
  const [preset] = at < 0 ? ['release'] : args.splice(at, 2).slice(1);
  if (!PRESETS.includes(preset)) {
    throw new StepError(`--preset takes one of: ${PRESETS.join(', ')}`);
  }
  await ensure({ only: 'native', test: true, presets: [preset] });
  // Everything else is the simulator's own: --help lists it.
  const program = path.join(root, 'build', preset, 'bin', 'sim');
  const { code } = await run(program, args, { inherit: true });
  if (args.includes('--help')) console.log(`  --preset NAME     ${PRESETS.join(', ')}`);
  return code;
});
