import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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

test('the quickstart prints what it received and ends', () => {
  const { stdout, stderr, status } = runExample('quickstart.ts');
  expect(stderr).toBe('');
  expect(stdout).toBe(
    [
      'a modern peer connected from 127.0.0.1',
      'stream 7: hello',
      'stream 7: world',
      'stream 7: goodbye',
      '',
    ].join('\n'),
  );
  expect(status).toBe(0);
});
