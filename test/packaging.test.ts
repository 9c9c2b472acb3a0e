import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

// What a user gets: `npm pack`, installed into an empty project. Nothing of the checkout is used there
// but its TypeScript compiler and the type declarations of Node.

// A pack, an install and several compilations.
jest.setTimeout(180_000);

const execute = promisify(execFile);
const root = path.resolve(__dirname, '..');
const platform = `${process.platform}-${process.arch}`;
const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');

/** The bound of DESIGN; what is installed, not what is downloaded. */
const MAX_UNPACKED_BYTES = 8 * 1024 * 1024;

const USE = `
  const node = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk: '42'.repeat(32) });
  const { publicKey } = generateNetKeypair();
  console.log(JSON.stringify({ nodeId: node.nodeId().toString(), publicKey }));
  await node.shutdown();
`;

const CONSUMERS = {
  'consumer.cjs': `
const { MeshNode } = require('netmesh');
const { generateNetKeypair } = require('netmesh/core');
(async () => {${USE}})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
`,
  'consumer.mjs': `
import { MeshNode } from 'netmesh';
import { generateNetKeypair } from 'netmesh/core';
${USE}
`,
};

const TYPED_CONSUMER = `
import { BackpressureError, MeshNode } from 'netmesh';
import { generateNetKeypair } from 'netmesh/core';
import { MeshNode as SameNode } from 'netmesh/mesh';

export async function use(): Promise<bigint> {
  const node: MeshNode = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk: '42'.repeat(32) });
  const same: SameNode = node;
  const key: string = generateNetKeypair().publicKey;
  const id: bigint = same.nodeId();
  // @ts-expect-error An id of 64 bits is no number.
  const wrong: number = node.nodeId();
  await node.shutdown();
  return new BackpressureError() instanceof Error && key.length > wrong ? id : 0n;
}
`;

interface Packed {
  filename: string;
  unpackedSize: number;
  files: Array<{ path: string; size: number }>;
}

let work: string;
let project: string;
let installed: string;
let packed: Packed;

/** A user's environment: no compiler on the path, no help from ours. */
function bareEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const nowhere = path.join(work, 'empty-path');
  mkdirSync(nowhere, { recursive: true });
  return { PATH: nowhere, HOME: work, ...extra };
}

async function runConsumer(file: string, extra?: NodeJS.ProcessEnv): Promise<void> {
  const { stdout } = await execute(process.execPath, [file], {
    cwd: project,
    env: bareEnvironment(extra),
  });
  const { nodeId, publicKey } = JSON.parse(stdout) as { nodeId: string; publicKey: string };
  expect(nodeId).toMatch(/^[1-9]\d*$/);
  expect(publicKey).toMatch(/^[0-9a-f]{64}$/);
}

/** The shared libraries that the package carries for this platform. */
function carriedLibraries(): string[] {
  return readdirSync(path.join(installed, 'prebuilds', platform)).filter((name) =>
    name.includes('.so'),
  );
}

/** Where the system keeps its own copies of what the package carries. */
function systemCopies(): string[] {
  const cache = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).stdout;
  const names = new Set(carriedLibraries());
  const copies = [...cache.matchAll(/^\s*(\S+) .*=> (\S+)$/gm)]
    .filter(([, name]) => names.has(name!))
    .map(([, , file]) => realpathSync(file!));
  return [...new Set(copies)];
}

/** Runs a program in a mount namespace in which the system's copies are empty files. */
function runWithoutSystemCopies(args: string[]): { status: number | null; output: string } {
  const script = [
    'set -e',
    'while [ "$1" != -- ]; do mount --bind /dev/null "$1"; shift; done',
    'shift',
    'exec "$@"',
  ].join('\n');
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', 'sh', '-c', script, 'sh', ...systemCopies(), '--', process.execPath, ...args],
    { cwd: project, encoding: 'utf8', env: { PATH: process.env.PATH, HOME: work } },
  );
  return { status, output: stdout + stderr };
}

const mayUnshare = spawnSync('unshare', ['--mount', 'true']).status === 0;
const testWithNamespaces = mayUnshare ? test : test.skip;

function compile(options: Record<string, unknown>, file: string): string {
  const config = path.join(project, `tsconfig.${path.basename(file)}.json`);
  const base = {
    noEmit: true,
    strict: true,
    target: 'es2022',
    types: ['node'],
    typeRoots: [path.join(root, 'node_modules', '@types')],
  };
  const compilerOptions = { ...base, ...options };
  writeFileSync(path.join(project, file), TYPED_CONSUMER);
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', config], {
    cwd: project,
    encoding: 'utf8',
  });
  return status === 0 ? '' : stdout;
}

beforeAll(async () => {
  work = realpathSync(mkdtempSync(path.join(tmpdir(), 'netmesh-packaging-')));
  project = path.join(work, 'project');
  mkdirSync(project);
  await execute(process.execPath, [path.join(root, 'scripts', 'prebuild.mjs')], { cwd: root });

  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', work];
  const { stdout } = await execute('npm', pack, { cwd: root });
  packed = (Object.values(JSON.parse(stdout) as Record<string, Packed>) as [Packed])[0];

  writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
  const install = ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  await execute('npm', [...install, path.join(work, packed.filename)], { cwd: project });
  installed = path.join(project, 'node_modules', 'netmesh');
  for (const [file, text] of Object.entries(CONSUMERS)) {
    writeFileSync(path.join(project, file), text);
  }
});

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

test('the package runs from CommonJS without a compiler', async () => {
  await runConsumer('consumer.cjs');
});

test('the package runs from an ES module without a compiler', async () => {
  await runConsumer('consumer.mjs');
});

test.each([
  ['node16 in an ES module', { module: 'node16', moduleResolution: 'node16' }, 'esm.mts'],
  ['node16 in CommonJS', { module: 'node16', moduleResolution: 'node16' }, 'commonjs.cts'],
  ['bundler', { module: 'esnext', moduleResolution: 'bundler' }, 'bundler.ts'],
  [
    'node10',
    // The compiler has deprecated it; projects that have not moved yet still work.
    { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
    'node10.ts',
  ],
])('a TypeScript project with the module resolution %s compiles', (_name, options, file) => {
  expect(compile(options, file)).toBe('');
});

test('the package needs no install script and brings nothing along but the command line parser', () => {
  const manifest = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
    dependencies?: Record<string, string>;
  };
  expect(Object.keys(manifest.scripts)).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/^((pre|post)?install|prepare)$/)]),
  );
  expect(Object.keys(manifest.dependencies ?? {})).toEqual(['commander']);
  expect(
    readdirSync(path.join(project, 'node_modules')).filter((name) => !name.startsWith('.')),
  ).toEqual(['commander', 'netmesh']);
});

test('every subpath in exports has its code and its types in the package', () => {
  const manifest = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { types: string; default: string }>;
  };
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : [target.types, target.default],
  );
  const missing = targets.filter((target) => !existsSync(path.join(installed, target)));
  expect(missing).toEqual([]);
});

test('the package stays small and carries neither tests nor build output', () => {
  expect(packed.unpackedSize).toBeLessThanOrEqual(MAX_UNPACKED_BYTES);
  const strays = packed.files
    .map((file) => file.path)
    .filter((file) =>
      /(_test|_testing|_bench|\.test)\.|^(build|test|bench|node_modules)\//.test(file),
    );
  expect(strays).toEqual([]);
});

test('the loader takes every carried library from the package', async () => {
  const log = path.join(work, 'loader');
  await runConsumer('consumer.cjs', { LD_DEBUG: 'libs', LD_DEBUG_OUTPUT: log });
  const text = readdirSync(work)
    .filter((name) => name.startsWith('loader.'))
    .map((name) => readFileSync(path.join(work, name), 'utf8'))
    .join('\n');
  const initialised = [...text.matchAll(/calling init: (\S+)/g)].map(([, file]) => file!);
  const carried = carriedLibraries();
  expect(carried).toContain('libsodium.so.23');
  for (const name of carried) {
    const loaded = initialised.filter((file) => path.basename(file) === name);
    expect(loaded.map((file) => realpathSync(file))).toEqual([
      path.join(installed, 'prebuilds', platform, name),
    ]);
  }
});

// Skipped where mount namespaces are not allowed: it needs root or CAP_SYS_ADMIN.
testWithNamespaces('the package runs where the system has none of the libraries', () => {
  // Otherwise there is nothing to hide, and the test would prove nothing.
  expect(systemCopies()).not.toEqual([]);
  const alone = path.join(work, 'alone');
  mkdirSync(alone, { recursive: true });
  cpSync(path.join(installed, 'prebuilds', platform, 'netmesh.node'), path.join(alone, 'a.node'));

  const without = runWithoutSystemCopies(['-e', `require(${JSON.stringify(`${alone}/a.node`)})`]);
  expect(without.output).toMatch(/libsodium\.so\.23|libsimdjson\.so/);
  expect(without.status).not.toBe(0);

  const complete = runWithoutSystemCopies(['consumer.cjs']);
  expect(complete.output).toMatch(/"nodeId":"\d+"/);
  expect(complete.status).toBe(0);
});

test('the addon needs nothing but libc and what lies beside it', () => {
  const folder = path.join(installed, 'prebuilds', platform);
  const files = readdirSync(folder).filter((name) => /\.(node|so(\.\d+)*)$/.test(name));
  for (const name of files) {
    const section = execFileSync('readelf', ['-d', '-W', path.join(folder, name)], {
      encoding: 'utf8',
    });
    const needed = [...section.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library!);
    const strangers = needed.filter(
      (library) =>
        !files.includes(library) &&
        !/^(ld-linux[\w-]*|lib(c|m|pthread|dl|rt|stdc\+\+|gcc_s))\.so\.\d+$/.test(library),
    );
    expect(strangers).toEqual([]);
  }
});
