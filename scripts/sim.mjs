#!/usr/bin/env node
// `npm run sim -- --seeds N`: the simulator's properties over more seeds than `npm test` has time for.

import path from 'node:path';
import { parseArgs } from 'node:util';

import { ensure } from './ensure.mjs';
import { StepError, root, run, runMain } from './shell.mjs';

const USAGE = `Usage: npm run sim -- [options]

  --seeds N       seeds for each property (default 2000)
  --seed N        the first seed (default 1); with --seeds 1 it replays a failure
  --filter GLOB   only these properties, as in --gtest_filter
  --preset NAME   the build to use: release (default), debug, asan or tsan
  --help          this text
`;

function positive(name, text) {
  if (!/^[1-9]\d*$/.test(text)) throw new StepError(`--${name} must be a whole number above 0`);
  return text;
}

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '2000' },
      seed: { type: 'string', default: '1' },
      filter: { type: 'string', default: '*' },
      preset: { type: 'string', default: 'release' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const env = {
    NETMESH_SIM_SEEDS: positive('seeds', values.seeds),
    NETMESH_SIM_FIRST_SEED: positive('seed', values.seed),
  };
  await ensure({ only: 'native', test: true, presets: [values.preset] });
  const program = path.join(root, 'build', values.preset, 'tests', 'sim_tests');
  const { code } = await run(program, [`--gtest_filter=${values.filter}`], { env, inherit: true });
  return code;
});
