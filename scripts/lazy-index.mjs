#!/usr/bin/env node
// Rewrites compiled index modules so that what they export is loaded when it is first used: most programs
// use a fraction of the SDK, and loading all of it takes most of the time of `require('netmesh')`.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/** `file` only re-exports; every name of it becomes a getter. */
export function makeLazy(file) {
  const require = createRequire(file);
  const text = fs.readFileSync(file, 'utf8');
  const everything = require(file);
  const owners = new Map();
  for (const [, module] of text.matchAll(/require\("(\.[^"]*)"\)/g)) {
    const exported = require(path.resolve(path.dirname(file), module));
    for (const name of Object.keys(exported)) {
      // The last one that has it: modules come before the smaller ones whose exports they repeat.
      if (Object.hasOwn(everything, name)) owners.set(name, module);
    }
  }
  const names = Object.keys(everything);
  const orphans = names.filter((name) => !owners.has(name));
  if (orphans.length > 0) throw new Error(`${file} defines ${orphans.join(', ')} itself`);
  const groups = [...new Set(owners.values())].map((module) => {
    const own = names.filter((name) => owners.get(name) === module);
    return `lazy(() => require("${module}"), ${JSON.stringify(own)});\n`;
  });
  // The last line never runs: it tells the names to ES modules that import this one.
  fs.writeFileSync(
    file,
    `"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
function lazy(load, names) {
  for (const name of names) {
    Object.defineProperty(exports, name, { enumerable: true, get: () => load()[name] });
  }
}
${groups.join('')}0 && (module.exports = { ${names.join(', ')} });
`,
  );
  fs.rmSync(`${file}.map`, { force: true });
}

for (const file of process.argv.slice(2)) makeLazy(path.resolve(file));
