#!/usr/bin/env node
// Makes a checkout ready: Debian packages, npm packages, the native build, the compiled TypeScript.
// Does only what is missing, so a second run returns at once. No dependencies, nothing but Node >= 20.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { StepError, isMain, jobs, root, run, runMain, seconds, step } from './shell.mjs';

/** Debian packages by purpose. */
const PACKAGES = {
  build: [
    'g++',
    'cmake',
    'ninja-build',
    'ccache',
    'pkg-config',
    'libuv1-dev',
    'libsodium-dev',
    'libb2-dev',
    'libxxhash-dev',
    'libexpected-dev',
    'libutf8proc-dev',
    'libsimdjson-dev',
  ],
  test: ['libgtest-dev', 'libbenchmark-dev', 'redis-server', 'nats-server'],
  lint: ['clang-format-14'],
  tidy: ['clang-tidy-14'],
  fuzz: ['clang-14', 'libclang-rt-14-dev'],
  // Namespaces, NAT and its table, for tests over emulated links.
  link: ['iproute2', 'nftables', 'conntrack'],
};

/** Packages that a source build needs and a published netmesh does not carry. */
const HEADER_MODULES = ['node-addon-api', 'node-api-headers'];

const USAGE = `Usage: node scripts/ensure.mjs [options]

Installs and builds what is missing, then returns.

  --test             also the C++ tests and benchmarks, and the packages they need
  --presets LIST     CMake presets to build, for example asan,tsan (default: release)
  --only PART        packages, modules, native, ts or link (the link emulator), with what that part needs
  --for PURPOSE      Debian packages for one more purpose: test, lint, tidy, fuzz or link; may be repeated
  --quiet            say nothing unless something fails
  --help             this text
`;

const PARTS = {
  packages: ['packages'],
  modules: ['modules'],
  native: ['packages', 'modules', 'native'],
  ts: ['modules', 'ts'],
  link: ['packages', 'modules', 'link'],
};

const buildDir = path.join(root, 'build');
/** An installed package has no lock file and no TypeScript sources; it can build the addon from source. */
const isCheckout = fs.existsSync(path.join(root, 'package-lock.json'));

function hash(text) {
  return createHash('sha256').update(text).digest('hex');
}

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Folders whose contents are not sources. */
const NOT_SOURCES = new Set(['node_modules', 'build', 'corpus']);

/** A digest that changes when a file under `inputs` is added, removed or written. */
export function fingerprint(inputs, extra = '') {
  const lines = [extra];
  const visit = (file) => {
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (!stat.isDirectory()) {
      lines.push(`${path.relative(root, file)} ${stat.size} ${stat.mtimeMs}`);
      return;
    }
    for (const name of fs.readdirSync(file).sort()) {
      if (!NOT_SOURCES.has(name)) visit(path.join(file, name));
    }
  };
  for (const input of inputs) visit(path.join(root, input));
  return hash(lines.join('\n'));
}

/** A stamp holds the fingerprint of what a step was last done for. */
function isFresh(stamp, print) {
  return readText(stamp) === print;
}

function writeStamp(stamp, print) {
  fs.mkdirSync(path.dirname(stamp), { recursive: true });
  fs.writeFileSync(stamp, print);
}

// ---- Debian packages -------------------------------------------------------------------------------

const packagesPart = {
  stamp: path.join(buildDir, '.packages.stamp'),

  names: ({ purposes }) => purposes.flatMap((purpose) => PACKAGES[purpose]),

  /** Every package that was installed when dpkg's database last changed. */
  known() {
    const [when, ...names] = (readText(this.stamp) ?? '').split('\n');
    return when === this.databaseVersion() ? names : [];
  },

  databaseVersion() {
    return String(fs.statSync('/var/lib/dpkg/status', { throwIfNoEntry: false })?.mtimeMs);
  },

  fresh(options) {
    const known = new Set(this.known());
    return this.names(options).every((name) => known.has(name));
  },

  async make(options) {
    const names = this.names(options);
    if (!fs.existsSync('/var/lib/dpkg/status')) {
      await requireTools();
    } else {
      const missing = await missingPackages(names);
      if (missing.length > 0) await install(missing, options);
    }
    writeStamp(
      this.stamp,
      [this.databaseVersion(), ...new Set([...this.known(), ...names])].join('\n'),
    );
  },
};

async function missingPackages(names) {
  const { stdout } = await run('dpkg-query', [
    '-W',
    '-f=${Package} ${db:Status-Status}\n',
    ...names,
  ]);
  const installed = new Set(
    stdout
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, status]) => status === 'installed')
      .map(([name]) => name),
  );
  return names.filter((name) => !installed.has(name));
}

async function install(missing, { log }) {
  const byHand = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  let prefix = [];
  if (process.getuid?.() !== 0) {
    const sudo = await run('sudo', ['-n', 'true']);
    if (sudo.code !== 0) {
      throw new StepError(
        `netmesh needs these system packages, and installing them takes root. Run this, then try again:\n\n` +
          `  sudo sh -c '${byHand}'\n`,
      );
    }
    prefix = ['sudo', '-n'];
  }
  const apt = (...args) => {
    const command = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return [command[0], command.slice(1)];
  };
  // Another apt may be at work, as on a machine that has just started.
  const wait = ['-o', 'DPkg::Lock::Timeout=300'];
  const [command, args] = apt('install', '-y', '--no-install-recommends', ...wait, ...missing);

  log(`installing system packages: ${missing.join(' ')}`);
  if ((await run(command, args)).code === 0) return;
  // Most often the package lists are missing or old.
  await step('updating the package lists', ...apt('update', ...wait), { log });
  await step('installing system packages', command, args, { log });
}

/** On a system without dpkg: nothing is installed, but what is missing is named. */
async function requireTools() {
  const missing = [];
  for (const tool of ['g++', 'cmake', 'ninja', 'pkg-config']) {
    if ((await run(tool, ['--version'])).code !== 0) missing.push(tool);
  }
  if (missing.length > 0) {
    throw new StepError(
      `netmesh needs ${missing.join(', ')}; on Debian: apt-get install ${PACKAGES.build.join(' ')}`,
    );
  }
}

// ---- npm packages ----------------------------------------------------------------------------------

const modulesPart = {
  stamp: path.join(root, 'node_modules', '.netmesh.stamp'),

  print: () => hash(readText(path.join(root, 'package-lock.json')) ?? ''),

  fresh() {
    if (!isCheckout) return HEADER_MODULES.every(isInstalled);
    return isFresh(this.stamp, this.print());
  },

  async make({ log }) {
    if (!isCheckout) {
      await installHeaders(log);
      return;
    }
    const print = this.print();
    // No package of ours needs an install script.
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
    await step('installing npm packages (npm ci)', 'npm', args, { log });
    writeStamp(this.stamp, print);
  },
};

/** Beside an installed package, or where `installHeaders` puts them; CMake looks there, too. */
const headersDir = path.join(buildDir, 'headers');

function isInstalled(module) {
  return [path.join(headersDir, 'node_modules'), path.dirname(root)].some((dir) =>
    fs.existsSync(path.join(dir, module, 'package.json')),
  );
}

/** In a folder of their own: an install in the package itself would bring all that develops it. */
async function installHeaders(log) {
  const { devDependencies } = JSON.parse(readText(path.join(root, 'package.json')));
  const modules = HEADER_MODULES.map((name) => `${name}@${devDependencies[name]}`);
  fs.mkdirSync(headersDir, { recursive: true });
  const args = ['install', '--prefix', headersDir, '--no-save', '--ignore-scripts', ...modules];
  await step('installing the Node-API headers (npm install)', 'npm', args, {
    log,
    cwd: headersDir,
  });
}

// ---- native ----------------------------------------------------------------------------------------

const NATIVE_INPUTS = [
  'CMakeLists.txt',
  'CMakePresets.json',
  'cmake',
  'native',
  'binding',
  'test/fuzz',
  'test/linkem',
  'package.json',
  'package-lock.json',
];

const nativePart = {
  /** The addon alone is enough to run; tests and sanitizer builds take everything. */
  goals: ({ presets, test }) =>
    presets.map((preset) => ({ preset, all: test || preset !== 'release' })),

  stamp: ({ preset, all }) => path.join(buildDir, preset, all ? '.all.stamp' : '.addon.stamp'),

  isGoalFresh(goal, print) {
    // Whoever has built everything has built the addon.
    const stamps = [this.stamp(goal), this.stamp({ ...goal, all: true })];
    return stamps.some((stamp) => isFresh(stamp, print)) && hasAddon(goal.preset);
  },

  fresh(options) {
    const print = fingerprint(NATIVE_INPUTS);
    return this.goals(options).every((goal) => this.isGoalFresh(goal, print));
  },

  async make(options) {
    const { log } = options;
    // Taken before the build: what is written meanwhile is built next time.
    const print = fingerprint(NATIVE_INPUTS);
    for (const goal of this.goals(options)) {
      if (this.isGoalFresh(goal, print)) continue;
      const { preset, all } = goal;
      const started = Date.now();
      const dir = path.join(buildDir, preset);
      removeMovedBuild(dir);
      await step(`configuring (${preset})`, 'cmake', ['--preset', preset], { log });
      const target = all || !addonSources() ? [] : ['--target', 'netmesh_addon'];
      const args = ['--build', dir, '--parallel', String(jobs()), ...target];
      await step(`building ${all ? 'everything' : 'the addon'} (${preset})`, 'cmake', args, {
        log,
      });
      log(`  built in ${seconds(started)}`);
      writeStamp(this.stamp(goal), print);
    }
  },
};

function addonSources() {
  const dir = path.join(root, 'binding');
  return fs.existsSync(dir) && fs.readdirSync(dir).some((name) => name.endsWith('.cc'));
}

function hasAddon(preset) {
  if (preset !== 'release' || !addonSources()) return true;
  return fs.existsSync(path.join(buildDir, preset, 'netmesh.node'));
}

/** CMake refuses a build folder that was made for a checkout elsewhere. */
function removeMovedBuild(dir) {
  const home = readText(path.join(dir, 'CMakeCache.txt'))?.match(/^CMAKE_HOME_DIRECTORY:.*=(.*)$/m);
  if (home && path.resolve(home[1]) !== root) fs.rmSync(dir, { recursive: true, force: true });
}

/** The link emulator alone, for whoever has not built everything. */
const linkPart = {
  goal: { preset: 'release', all: true },
  stamp: path.join(buildDir, 'release', '.link.stamp'),

  fresh() {
    const print = fingerprint(NATIVE_INPUTS);
    const stamps = [this.stamp, nativePart.stamp(this.goal)];
    return (
      stamps.some((stamp) => isFresh(stamp, print)) &&
      fs.existsSync(path.join(buildDir, 'release', 'bin', 'linkem'))
    );
  },

  async make({ log }) {
    const print = fingerprint(NATIVE_INPUTS);
    const dir = path.join(buildDir, 'release');
    removeMovedBuild(dir);
    await step('configuring (release)', 'cmake', ['--preset', 'release'], { log });
    const args = ['--build', dir, '--parallel', String(jobs()), '--target', 'linkem'];
    await step('building the link emulator', 'cmake', args, { log });
    writeStamp(this.stamp, print);
  },
};

// ---- TypeScript ------------------------------------------------------------------------------------

const TS_INPUTS = ['lib', 'types', 'tsconfig.json', 'package-lock.json', 'scripts/lazy-index.mjs'];

const tsPart = {
  stamp: path.join(buildDir, '.ts.stamp'),

  hasSources: () => fs.existsSync(path.join(root, 'lib')),

  fresh() {
    if (!this.hasSources()) return true;
    return (
      isFresh(this.stamp, fingerprint(TS_INPUTS)) &&
      fs.existsSync(path.join(root, 'dist', 'index.js'))
    );
  },

  async make({ log }) {
    const print = fingerprint(TS_INPUTS);
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const dist = path.join(root, 'dist');
    await step('compiling TypeScript', process.execPath, [tsc, '-p', root, '--outDir', dist], {
      log,
    });
    removeStale(dist, path.join(root, 'lib'));
    const indices = ['index.js', 'core/index.js'].map((name) => path.join(dist, name));
    const lazy = path.join(root, 'scripts', 'lazy-index.mjs');
    await step('making index modules lazy', process.execPath, [lazy, ...indices], { log });
    writeStamp(this.stamp, print);
  },
};

/** Removes what was compiled from sources that are gone. */
function removeStale(dist, lib) {
  for (const name of fs.readdirSync(dist)) {
    const file = path.join(dist, name);
    if (fs.statSync(file).isDirectory()) {
      removeStale(file, path.join(lib, name));
      continue;
    }
    const source = name.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
    if (!fs.existsSync(path.join(lib, source))) fs.rmSync(file);
  }
}

// ---- one at a time ---------------------------------------------------------------------------------

const LOCK_POLL_MS = 200;

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Holds the checkout's lock while `work` runs, so that two builds never write the same files. */
async function withLock(log, work) {
  const lock = path.join(buildDir, '.ensure.lock');
  fs.mkdirSync(buildDir, { recursive: true });
  let waiting = false;
  for (;;) {
    // Written whole and then linked into place: a lock always says whose it is.
    const own = `${lock}.${process.pid}`;
    fs.writeFileSync(own, String(process.pid));
    try {
      fs.linkSync(own, lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    } finally {
      fs.rmSync(own, { force: true });
    }
    const holder = Number(readText(lock));
    if (holder > 0 && !isRunning(holder)) {
      // Only one of several that see a dead holder succeeds in moving its lock away.
      try {
        fs.renameSync(lock, `${lock}.dead.${process.pid}`);
        fs.rmSync(`${lock}.dead.${process.pid}`);
      } catch (error) {
        if (error.code !== 'ENOENT') throw error;
      }
      continue;
    }
    if (!waiting) log(`waiting for another run (process ${holder})`);
    waiting = true;
    await sleep(LOCK_POLL_MS);
  }
  const release = () => {
    if (readText(lock) === String(process.pid)) fs.rmSync(lock, { force: true });
  };
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

const ALL_PARTS = {
  packages: packagesPart,
  modules: modulesPart,
  native: nativePart,
  ts: tsPart,
  link: linkPart,
};
/** What is made when nobody says what. */
const DEFAULT_PARTS = ['packages', 'modules', 'native', 'ts'];

/**
 * Makes the checkout ready.
 *
 * `test` adds the C++ tests, `presets` names the builds, `only` limits the work to one part, `purposes`
 * adds Debian packages, `quiet` says nothing while all goes well.
 */
export async function ensure({
  test = false,
  presets = ['release'],
  only,
  purposes = [],
  quiet = false,
} = {}) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new StepError(`netmesh needs Node 20 or newer; this is ${process.version}`);
  }
  const wanted = new Set(purposes);
  if (only !== 'packages') wanted.add('build');
  // A sanitizer build holds nothing but tests.
  if (test || presets.some((preset) => preset !== 'release')) wanted.add('test');
  if (presets.includes('fuzz')) wanted.add('fuzz');
  if (only === 'link') wanted.add('link');

  const names = only === undefined ? DEFAULT_PARTS : PARTS[only];
  const parts = names.filter((name) => isCheckout || name !== 'ts').map((name) => ALL_PARTS[name]);
  const log = quiet ? () => {} : (line) => console.log(line);
  const options = { test, presets, purposes: [...wanted], log };

  if (parts.every((part) => part.fresh(options))) return;
  await withLock(log, async () => {
    for (const part of parts) {
      if (!part.fresh(options)) await part.make(options);
    }
  });
}

if (isMain(import.meta.url)) {
  await runMain(async () => {
    const { values } = parseArgs({
      options: {
        test: { type: 'boolean', default: false },
        presets: { type: 'string', default: 'release' },
        only: { type: 'string' },
        for: { type: 'string', multiple: true, default: [] },
        quiet: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    if (values.only !== undefined && !(values.only in PARTS)) {
      throw new StepError(`--only takes one of: ${Object.keys(PARTS).join(', ')}`);
    }
    const unknown = values.for.filter((purpose) => !(purpose in PACKAGES));
    if (unknown.length > 0) {
      throw new StepError(`--for takes one of: ${Object.keys(PACKAGES).join(', ')}`);
    }
    await ensure({
      test: values.test,
      presets: values.presets.split(',').filter(Boolean),
      only: values.only,
      purposes: values.for,
      quiet: values.quiet,
    });
    return 0;
  });
}
