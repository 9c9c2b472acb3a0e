#!/usr/bin/env node
// `npm run bench:native [-- Google Benchmark options]`: the C++ benchmarks of every folder.

import fs from 'node:fs';
import path from 'node:path';

import { ensure } from './ensure.mjs';
import { root, run, runMain } from './shell.mjs';

await runMain(async () => {
  await ensure({ only: 'native', test: true });
  const buildDir = path.join(root, 'build', 'release');
  const manifest = JSON.parse(fs.readFileSync(path.join(buildDir, 'manifest.json'), 'utf8'));
  let status = 0;
  for (const name of manifest.benchmarks) {
    console.log(`\n${name}`);
    const program = path.join(buildDir, 'benchmarks', name);
    const { code } = await run(program, process.argv.slice(2), { inherit: true });
    if (code !== 0) status = 1;
  }
  return status;
});
