import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

import type * as Addon from '../../types/native';
import { AddonError } from '../core/errors';

/** What the addon exports. */
export type NativeAddon = typeof Addon;

/** Of the package, seen from `lib/internal` as from `dist/internal`. */
const ROOT = resolve(__dirname, '..', '..');

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded on first use: `NETMESH_ADDON` when set, else what a checkout built, else what
 * the package carries for this platform.
 */
export function addon(): NativeAddon {
  return (loaded ??= load());
}

function load(): NativeAddon {
  const override = process.env.NETMESH_ADDON;
  const target = `${process.platform}-${process.arch}`;
  const candidates =
    override !== undefined && override !== ''
      ? [resolve(override)]
      : [
          join(ROOT, 'build', 'release', 'netmesh.node'),
          join(ROOT, 'prebuilds', target, 'netmesh.node'),
        ];
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new AddonError(
      `netmesh: there is no native addon for ${target} (Node.js ${process.version}). ` +
        `Looked for ${candidates.join(' and ')}. ${buildHint()}`,
    );
  }
  try {
    return createRequire(__filename)(path) as NativeAddon;
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new AddonError(
      `netmesh: the native addon ${path} does not load on ${target} ` +
        `(Node.js ${process.version}): ${detail}. ${buildHint()}`,
      { cause },
    );
  }
}

function buildHint(): string {
  const script = join(ROOT, 'scripts', 'ensure.mjs');
  return `To build it from source: node ${script} --only native`;
}
