#!/usr/bin/env node
// `npm run format` rewrites what Prettier and clang-format would; `npm run format:check` only looks.

import { runChecks } from './checks.mjs';
import { ensure } from './ensure.mjs';
import { cppFiles, nodeTool } from './files.mjs';
import { runMain } from './shell.mjs';

await runMain(async () => {
  const check = process.argv.includes('--check');
  await ensure({ only: 'modules' });
  await ensure({ only: 'packages', purposes: ['lint'] });
  const prettier = nodeTool('prettier/bin/prettier.cjs');
  const clangFormat = check ? ['--dry-run', '--Werror'] : ['-i'];
  const hint = 'npm run format puts it right';
  const totals = await runChecks([
    {
      name: 'Prettier',
      command: [...prettier, check ? '--check' : '--write', '--log-level=warn', '.'],
      hint,
    },
    { name: 'clang-format', command: ['clang-format-14', ...clangFormat, ...cppFiles()], hint },
  ]);
  return totals.failed === 0 ? 0 : 1;
});
