#!/usr/bin/env node
// `npm run prebuild`: fills prebuilds/<platform>-<arch>/ with the stripped addon and the shared libraries
// that it needs beyond libc, and checks that the two lack nothing. Runs before `npm pack` by itself.

import fs from 'node:fs';
import path from 'node:path';

import { ensure, fingerprint } from './ensure.mjs';
import { StepError, isMain, root, run, runMain, step } from './shell.mjs';

/**
 * What every Linux with glibc has, and the C++ runtime that Node itself is linked with, which libsimdjson
 * shares. Everything else travels with the addon.
 */
const LIBC_FAMILY =
  /^(ld-linux[\w-]*|libc|libm|libpthread|libdl|librt|libstdc\+\+|libgcc_s)\.so\.\d+$/;

const platform = `${process.platform}-${process.arch}`;
const outDir = path.join(root, 'prebuilds', platform);
const addon = path.join(outDir, 'netmesh.node');
const buildDir = path.join(root, 'build', 'release');
const stamp = path.join(root, 'build', `.prebuild-${platform}.stamp`);
const INPUTS = ['build/release/netmesh.node', 'scripts/prebuild.mjs'].map((file) =>
  path.normalize(file),
);

/** The entries of a shared object's dynamic section that say what it needs and where it looks. */
async function dynamicSection(file) {
  const { stdout } = await step(`reading ${path.basename(file)}`, 'readelf', ['-d', '-W', file]);
  const values = (tag) =>
    [...stdout.matchAll(new RegExp(`\\(${tag}\\).*\\[(.*)\\]`, 'g'))].map(([, value]) => value);
  return { needed: values('NEEDED'), runPath: [...values('RUNPATH'), ...values('RPATH')] };
}

async function carriedNeeds(file) {
  const { needed } = await dynamicSection(file);
  return needed.filter((name) => !LIBC_FAMILY.test(name));
}

/** Where this machine's loader finds the libraries of `file`, by name. */
async function loaderPaths(file) {
  const { stdout } = await step(`resolving ${path.basename(file)}`, 'ldd', [file]);
  return new Map(
    [...stdout.matchAll(/^\s*(\S+) => (\/\S+)/gm)].map(([, name, where]) => [name, where]),
  );
}

/** Copies what `file` needs beside the addon, and what that needs, to the end. */
async function carryLibraries(file, carried = new Map()) {
  const needs = await carriedNeeds(file);
  const paths = await loaderPaths(file);
  for (const name of needs) {
    if (carried.has(name)) continue;
    const source = paths.get(name);
    if (source === undefined)
      throw new StepError(`${name}, needed by ${file}, is not on this machine`);
    const copy = path.join(outDir, name);
    fs.copyFileSync(fs.realpathSync(source), copy);
    fs.chmodSync(copy, 0o644);
    carried.set(name, source);
    await carryLibraries(copy, carried);
    // A run path is not inherited: a library that needs a carried one has to look beside itself, too.
    if ((await carriedNeeds(copy)).length > 0) {
      await step(`setting the run path of ${name}`, 'patchelf', ['--set-rpath', '$ORIGIN', copy]);
    }
  }
  return carried;
}

/** Fails unless the folder is complete: nothing is looked up outside of it but libc. */
async function verify() {
  const present = new Set(fs.readdirSync(outDir));
  for (const name of present) {
    if (!/\.(node|so(\.\d+)*)$/.test(name)) continue;
    const { needed, runPath } = await dynamicSection(path.join(outDir, name));
    const beyondLibc = needed.filter((library) => !LIBC_FAMILY.test(library));
    const missing = beyondLibc.filter((library) => !present.has(library));
    if (missing.length > 0) throw new StepError(`${name} needs ${missing.join(', ')}, not carried`);
    if (beyondLibc.length > 0 && runPath.join(':') !== '$ORIGIN') {
      throw new StepError(`${name} has the run path "${runPath.join(':')}" instead of $ORIGIN`);
    }
  }
}

/** The newest glibc that something in the folder asks for: the oldest system that it runs on. */
async function oldestGlibc() {
  const versions = [];
  for (const name of fs.readdirSync(outDir).filter((file) => /\.(node|so(\.\d+)*)$/.test(file))) {
    const { stdout } = await run('readelf', ['-V', '-W', path.join(outDir, name)]);
    versions.push(...[...stdout.matchAll(/GLIBC_(\d+\.\d+)/g)].map(([, version]) => version));
  }
  return versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

/** The notices of what is inside: linked in, compiled in from headers, or carried beside the addon. */
async function writeNotices(carried) {
  const notices = [];
  const add = (title, file) => {
    if (!fs.existsSync(file))
      throw new StepError(`the licence notice of ${title} is not at ${file}`);
    notices.push(
      `${title}\n${'='.repeat(title.length)}\n\n${fs.readFileSync(file, 'utf8').trim()}\n`,
    );
  };
  const packages = new Set([
    'libb2-dev',
    'libxxhash-dev',
    'libexpected-dev',
    'libutf8proc-dev',
    'libstdc++-12-dev',
  ]);
  for (const source of carried.values()) packages.add(await owner(source));
  for (const name of packages) {
    const file = `/usr/share/doc/${name}/copyright`;
    // The compiler's own library has another name on other systems; its exception asks for no notice.
    if (name.startsWith('libstdc++') && !fs.existsSync(file)) continue;
    add(name, file);
  }
  add('node-addon-api', path.join(root, 'node_modules', 'node-addon-api', 'LICENSE.md'));
  fs.writeFileSync(path.join(outDir, 'THIRD-PARTY-NOTICES.txt'), notices.join('\n\n'));
}

/** The Debian package that a library came with. */
async function owner(file) {
  for (const candidate of [file, fs.realpathSync(file), file.replace(/^\/lib/, '/usr/lib')]) {
    const { code, stdout } = await run('dpkg-query', ['-S', candidate]);
    if (code === 0) return stdout.split(':')[0];
  }
  throw new StepError(`no package owns ${file}`);
}

function isFresh() {
  try {
    return fs.existsSync(addon) && fs.readFileSync(stamp, 'utf8') === fingerprint(INPUTS);
  } catch {
    return false;
  }
}

/** Makes prebuilds/ anew when the addon has changed since; yields the folder. */
export async function prebuild({ quiet = false } = {}) {
  await ensure({ quiet });
  const log = quiet ? () => {} : (line) => console.log(line);
  if (!isFresh()) {
    fs.rmSync(outDir, { recursive: true, force: true });
    fs.mkdirSync(outDir, { recursive: true });
    const args = ['--install', buildDir, '--component', 'addon', '--strip', '--prefix', outDir];
    await step('installing the addon', 'cmake', args, { log });
    fs.chmodSync(addon, 0o644);
    await writeNotices(await carryLibraries(addon));
    await verify();
    fs.writeFileSync(stamp, fingerprint(INPUTS));
  }
  log(`prebuilds/${platform} (needs glibc ${await oldestGlibc()} or newer)`);
  for (const name of fs.readdirSync(outDir)) {
    const kib = fs.statSync(path.join(outDir, name)).size / 1024;
    log(`  ${kib.toFixed(0).padStart(6)} KiB  ${name}`);
  }
  return outDir;
}

if (isMain(import.meta.url)) {
  await runMain(async () => {
    await prebuild();
  });
}
