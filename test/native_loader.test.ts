import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The loader as a new process would see it. */
function loadWith(addonPath: string): unknown {
  const before = process.env.NETMESH_ADDON;
  process.env.NETMESH_ADDON = addonPath;
  try {
    let result: unknown;
    jest.isolateModules(() => {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- a fresh copy of the module
      const { addon } = require('../lib/internal/native') as { addon: () => unknown };
      try {
        result = addon();
      } catch (error) {
        result = error;
      }
    });
    return result;
  } finally {
    if (before === undefined) delete process.env.NETMESH_ADDON;
    else process.env.NETMESH_ADDON = before;
  }
}

test('a missing addon is an error that names the platform, the place and the way out', () => {
  const error = loadWith('/nowhere/netmesh.node') as Error & { code: string };
  expect(error.name).toBe('AddonError');
  expect(error.code).toBe('ERR_NETMESH_ADDON');
  expect(error.message).toContain(`${process.platform}-${process.arch}`);
  expect(error.message).toContain('/nowhere/netmesh.node');
  expect(error.message).toContain('ensure.mjs --only native');
});

test('an addon that does not load is an error that says why', () => {
  const folder = mkdtempSync(join(tmpdir(), 'netmesh-'));
  try {
    const path = join(folder, 'netmesh.node');
    writeFileSync(path, 'not a library');
    const error = loadWith(path) as Error & { cause: unknown };
    expect(error.name).toBe('AddonError');
    expect(error.message).toContain(path);
    expect(error.message).toContain('does not load');
    expect(error.cause).toBeDefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the root module can be loaded without the addon', () => {
  jest.isolateModules(() => {
    process.env.NETMESH_ADDON = '/nowhere/netmesh.node';
    try {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- a fresh copy of the module
      expect(require('netmesh')).toHaveProperty('MeshNode');
    } finally {
      delete process.env.NETMESH_ADDON;
    }
  });
});
