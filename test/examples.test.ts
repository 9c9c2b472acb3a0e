import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import ts from 'typescript';

const ROOT = join(__dirname, '..');

/** Runs an example as a project that has installed the package would. */
function runExample(name: string): { stdout: string; stderr: string; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), 'netmesh-example-'));
  try {
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(ROOT, join(folder, 'node_modules', 'netmesh'), 'dir');
    const source = readFileSync(join(ROOT, 'examples', name), 'utf8');
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
    });
    const script = join(folder, name.replace(/\.ts$/, '.cjs'));
    writeFileSync(script, outputText);
    return spawnSync(process.execPath, [script], { encoding: 'utf8', timeout: 20_000 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each(readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.ts')))(
  '%s runs in a project that has the package installed',
  (name) => {
    const { stdout, stderr, status } = runExample(name);
    expect(stderr).toBe('');
    expect(stdout).not.toBe('');
    expect(status).toBe(0);
  },
);
