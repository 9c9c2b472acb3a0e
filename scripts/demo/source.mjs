// What the demo sends: a file, or data generated from a seed. Described here, opened in the sender.

import { createCipheriv, createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { formatBytes } from './units.mjs';

const ADDON = fileURLToPath(new URL('../../build/release/netmesh.node', import.meta.url));

/** A smaller addon is over before there is anything to see. */
const MIN_DEFAULT_BYTES = 8 * 1024 * 1024;
const GENERATED_BYTES = 64 * 1024 * 1024;
const SEED = 'netmesh demo';
/** More takes longer than anyone watches a demo. */
const MAX_BYTES = 64 * 1024 ** 3;

const CHUNK_BYTES = 512 * 1024;

/** A file that cannot be sent; the message says why. */
export class SourceError extends Error {}

/** Describes FILE, or what is sent without one: `{ kind, name, bytes, path | seed }`. */
export function chooseSource(file) {
  if (file !== undefined) return describeFile(file);
  const size = fs.statSync(ADDON, { throwIfNoEntry: false })?.size ?? 0;
  if (size >= MIN_DEFAULT_BYTES) {
    return { kind: 'file', name: 'netmesh.node', bytes: size, path: ADDON };
  }
  return {
    kind: 'generated',
    name: `data from the seed "${SEED}"`,
    bytes: GENERATED_BYTES,
    seed: SEED,
  };
}

function describeFile(file) {
  // npm runs scripts in the package's folder, but FILE is meant where the user stands.
  const where = process.env.npm_lifecycle_event === 'demo' ? process.env.INIT_CWD : undefined;
  const full = path.resolve(where ?? process.cwd(), file);
  let stat;
  try {
    stat = fs.statSync(full);
    if (stat.isFile()) fs.closeSync(fs.openSync(full, 'r'));
  } catch (error) {
    throw new SourceError(`${file} cannot be read: ${explain(error)}`);
  }
  if (stat.isDirectory()) throw new SourceError(`${file} is a directory; the demo sends one file`);
  if (!stat.isFile()) throw new SourceError(`${file} is not a regular file`);
  if (stat.size === 0) throw new SourceError(`${file} is empty: nothing to send`);
  if (stat.size > MAX_BYTES) {
    throw new SourceError(
      `${file} has ${formatBytes(stat.size)}; the demo sends at most ${formatBytes(MAX_BYTES)}`,
    );
  }
  return { kind: 'file', name: path.basename(full), bytes: stat.size, path: full };
}

function explain({ code, message }) {
  switch (code) {
    case 'ENOENT':
      return 'no such file';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    default:
      return message;
  }
}

/** The bytes of a source, chunk by chunk. */
export function openSource(source) {
  return source.kind === 'file'
    ? fs.createReadStream(source.path, { highWaterMark: CHUNK_BYTES })
    : generate(source.seed, source.bytes);
}

/** The same bytes for the same seed, everywhere: an AES-256-CTR key stream. */
function* generate(seed, bytes) {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    yield cipher.update(zeros.subarray(0, Math.min(left, CHUNK_BYTES)));
  }
}
