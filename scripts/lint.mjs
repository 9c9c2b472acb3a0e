#!/usr/bin/env node
// `npm run lint`: ESLint with type information, types of the tests, and the direction of C++ includes.
// `npm run tidy [-- FILE...]`: clang-tidy on these files, or on all of native/ and binding/ (slow).

import fs from 'node:fs';
import path from 'node:path';

import { runChecks } from './checks.mjs';
import { ensure } from './ensure.mjs';
import { cppFiles, nodeTool } from './files.mjs';
import { inParallel, jobs, root, run, runMain } from './shell.mjs';

/**
 * System headers that only some folders may name. CMake cannot hold these back, as they lie on the
 * compiler's own path; our own headers it can, see cmake/NetmeshLibrary.cmake.
 */
const CONFINED_HEADERS = [
  { header: /^sodium(\.h|\/)/, folders: ['native/crypto'] },
  { header: /^blake2\.h$/, folders: ['native/crypto'] },
  { header: /^xxh(ash|3)\.h$/, folders: ['native/crypto'] },
  { header: /^utf8proc\.h$/, folders: ['native/cortex'] },
  { header: /^uv(\.h|\/)/, folders: ['native/runtime', 'binding'] },
  { header: /^(napi|node_api|js_native_api)\.h$/, folders: ['binding'] },
  {
    header: /^(sys\/(socket|epoll|eventfd)|netinet\/.*|poll|pthread)\.h$/,
    folders: ['native/runtime'],
  },
  { header: /^(sys\/mman|unistd)\.h$/, folders: ['native/runtime', 'native/redex'] },
];

/** The binding talks to runtime/ and names what that hands out; the layers below are not its business. */
const BELOW_THE_BINDING = /^(session|wire|crypto|sim)\//;

/** The machines run in virtual time, on one thread: STYLE and DESIGN "Sans-I/O core". */
const SANS_IO = [
  'native/wire',
  'native/session',
  'native/mesh',
  'native/identity',
  'native/predicate',
  'native/capability',
  'native/channel',
];
const SANS_IO_HEADERS =
  /^(thread|mutex|shared_mutex|condition_variable|future|random|fstream|filesystem)$/;

function includeProblems() {
  const problems = [];
  for (const file of cppFiles()) {
    // A test may set up what it needs; the code may not.
    if (/_(test|testing|bench)\.(cc|h)$/.test(file) || !/^(native|binding)\//.test(file)) continue;
    const text = fs.readFileSync(path.join(root, file), 'utf8');
    for (const [, header] of text.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)) {
      const rule = CONFINED_HEADERS.find((confined) => confined.header.test(header));
      if (rule !== undefined && !rule.folders.some((folder) => file.startsWith(`${folder}/`))) {
        problems.push(`${file}: ${header} is for ${rule.folders.join(', ')} only`);
      }
      if (BELOW_THE_BINDING.test(header) && file.startsWith('binding/')) {
        problems.push(`${file}: ${header} lies below what the binding may name`);
      }
      if (SANS_IO_HEADERS.test(header) && SANS_IO.some((dir) => file.startsWith(`${dir}/`))) {
        problems.push(`${file}: ${header} has no place in the sans-I/O core`);
      }
    }
  }
  return problems;
}

async function lint() {
  await ensure({ only: 'modules' });
  const totals = await runChecks([
    { name: 'ESLint', command: [...nodeTool('eslint/bin/eslint.js'), '.', '--max-warnings=0'] },
    {
      name: 'types of sources and tests',
      command: [...nodeTool('typescript/bin/tsc'), '-p', 'tsconfig.test.json'],
    },
    { name: 'C++ includes', check: includeProblems },
  ]);
  return totals.failed === 0 ? 0 : 1;
}

async function tidy(files) {
  await ensure({ only: 'native', test: true, purposes: ['tidy'] });
  const chosen =
    files.length > 0 ? files : cppFiles().filter((file) => /^(native|binding)\/.*\.cc$/.test(file));
  let failed = 0;
  await inParallel(chosen, jobs(), async (file) => {
    const { code, stdout, output } = await run('clang-tidy-14', [
      '-p',
      'build/release',
      '--quiet',
      // The compile commands are those of GCC.
      '--extra-arg=-Wno-unknown-warning-option',
      file,
    ]);
    console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${file}`);
    if (code === 0) return;
    failed += 1;
    console.log(stdout.trim() || output.trim());
  });
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runMain(() => {
  const [mode, ...files] = process.argv.slice(2);
  return mode === '--tidy' ? tidy(files) : lint();
});
