// Which files of the checkout are ours to check, by kind.

import fs from 'node:fs';
import path from 'node:path';

import { root } from './shell.mjs';

/** Made by tools or by other people. */
const NOT_OURS = new Set(['.git', 'node_modules', 'build', 'dist', 'prebuilds', 'coverage']);

/** Paths relative to the root, of every file under `dirs` whose name ends in one of `extensions`. */
export function listFiles(dirs, extensions) {
  const found = [];
  const visit = (dir) => {
    for (const entry of fs.readdirSync(path.join(root, dir), { withFileTypes: true })) {
      const file = path.join(dir, entry.name);
      if (entry.isDirectory()) {
        if (!NOT_OURS.has(entry.name)) visit(file);
      } else if (extensions.some((extension) => entry.name.endsWith(extension))) {
        found.push(file);
      }
    }
  };
  for (const dir of dirs) if (fs.existsSync(path.join(root, dir))) visit(dir);
  return found.sort();
}

export function cppFiles() {
  return listFiles(['native', 'binding', 'test', 'bench', 'examples'], ['.cc', '.h']);
}

/** A program from node_modules, run by this Node. */
export function nodeTool(file) {
  return [process.execPath, path.join(root, 'node_modules', file)];
}
