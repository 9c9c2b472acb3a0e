import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Processes started in a row for one reading of the load time. */
const STARTS_PER_READING = 11;

const execute = promisify(execFile);

/** @returns {string | null} why the package cannot be installed here */
export function packageMissing() {
  if (!existsSync(join(ROOT, 'package.json'))) return 'the package is not there yet';
  return existsSync(join(ROOT, 'dist', 'index.js')) ? null : 'not built: run npm run build first';
}

/**
 * Packs the package as it would be published and installs it into an empty project.
 *
 * @returns {Promise<{ folder: string, remove: () => Promise<void> }>}
 */
export async function installPackage() {
  const folder = await mkdtemp(join(tmpdir(), 'netmesh-bench-'));
  const remove = () => rm(folder, { recursive: true });
  try {
    const project = join(folder, 'project');
    await mkdir(project);
    await writeFile(join(project, 'package.json'), '{ "name": "empty", "private": true }\n');
    await execute('npm', ['pack', '--pack-destination', folder], { cwd: ROOT });
    const [packed] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
    await execute('npm', ['install', '--no-audit', '--no-fund', join(folder, packed)], {
      cwd: project,
    });
    return { folder: project, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/**
 * @param {string} project
 * @returns {Promise<{ packageBytes: number, totalBytes: number }>}
 *   sizes of all files of the package, and of it together with what it depends on
 */
export async function installedSize(project) {
  const modules = join(project, 'node_modules');
  return {
    packageBytes: await sizeOf(join(modules, 'netmesh')),
    totalBytes: await sizeOf(modules),
  };
}

/**
 * Time that `require('netmesh')` adds to the life of a fresh process: the median of some processes
 * that load it less the median of as many that load nothing, started in turn.
 *
 * @param {string} project
 * @returns {number} milliseconds
 */
export function loadTimeMs(project) {
  const empty = [];
  const loading = [];
  for (let start = 0; start < STARTS_PER_READING; start++) {
    empty.push(lifeTimeMs(project, ''));
    loading.push(lifeTimeMs(project, "require('netmesh')"));
  }
  return middle(loading) - middle(empty);
}

/**
 * @param {string} project
 * @param {string} code
 */
function lifeTimeMs(project, code) {
  const begin = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ['-e', code], {
    cwd: project,
    encoding: 'utf8',
    timeout: 10_000,
  });
  const ms = performance.now() - begin;
  if (status !== 0) throw new Error(`node -e "${code}" failed: ${stderr.trim() || 'no exit'}`);
  return ms;
}

/** @param {number[]} values */
function middle(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

/** @param {string} path */
async function sizeOf(path) {
  const stats = await lstat(path);
  if (!stats.isDirectory()) return stats.size;
  let bytes = 0;
  for (const name of await readdir(path)) bytes += await sizeOf(join(path, name));
  return bytes;
}

/**
 * Installs the peers into `bench/`, unless what the lock file says is there.
 *
 * @param {string} bench
 * @returns {Promise<string | null>} what went wrong
 */
export async function ensurePeersInstalled(bench) {
  const wanted = await readFile(join(bench, 'package-lock.json'), 'utf8');
  const stamp = join(bench, 'node_modules', '.netmesh-bench-lock.json');
  const present = await readFile(stamp, 'utf8').catch(() => null);
  if (present === wanted) return null;
  process.stderr.write('Installing the peers (npm ci in bench/) ...\n');
  try {
    // No install scripts: the peers with native code carry their binaries in their packages.
    await execute('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: bench });
    // SQLite's is compiled, and only that peer is missing where it cannot be.
    await execute('npm', ['rebuild', 'better-sqlite3', '--build-from-source'], {
      cwd: bench,
    }).catch((error) => process.stderr.write(`better-sqlite3 was not built: ${error.message}\n`));
    await writeFile(stamp, wanted);
    return null;
  } catch (error) {
    const { stderr } = /** @type {{ stderr?: string }} */ (error);
    return stderr?.split('\n').find((line) => /error/i.test(line)) ?? String(error);
  }
}
