import { Worker } from 'node:worker_threads';
import path from 'node:path';

import {
  InvalidArgumentError,
  ShutDownError,
  p,
  placementFilterFromFn,
  standardPlacement,
} from 'netmesh';
import type { PlacementCandidate, StandardPlacement } from 'netmesh';
import { NetMesh } from 'netmesh/core';
import { addon } from '../lib/internal/native';
import { PSK } from './support/nodes';

// A placement asks a JavaScript filter from another thread, as whoever places something will.

const NOTHING = { tags: [], metadata: {} };
const DAEMON = { required: NOTHING, optional: NOTHING };

function rank(placement: StandardPlacement, candidates: readonly PlacementCandidate[]) {
  const { predicate, ...rest } = placement;
  return addon().rankPlacement(
    { ...rest, predicate: predicate && JSON.stringify(predicate) },
    candidates,
    DAEMON,
  );
}

function nodes(count: number): PlacementCandidate[] {
  return Array.from({ length: count }, (_, index) => ({
    nodeId: 2n ** 63n + BigInt(index),
    tags: [`hardware.memory_gb=${index}`, 'hardware.gpu'],
    metadata: { zone: String(index % 2) },
  }));
}

let mesh: NetMesh;

beforeAll(async () => {
  mesh = await NetMesh.create({ bindAddr: '127.0.0.1:0', psk: PSK });
});

afterAll(async () => {
  await mesh.shutdown();
});

test('a registered filter decides what is placed where', async () => {
  const seen: PlacementCandidate[] = [];
  const { id, fn } = placementFilterFromFn((candidate) => {
    seen.push(candidate);
    return candidate.metadata.zone === '1';
  });
  expect(mesh.registerPlacementFilter(id, fn)).toBe(true);
  expect(mesh.registerPlacementFilter(id, () => true)).toBe(false);
  expect(mesh.hasPlacementFilter(id)).toBe(true);

  const placement = standardPlacement()
    .requireTag('hardware', 'gpu')
    .withPredicate(p.numericAtLeast({ axis: 'hardware', key: 'memory_gb' }, 100))
    .withCustomFilterId(id)
    .withLimit(3)
    .build();
  const all = nodes(200);
  const { nodes: best, filterMissing } = await rank(placement, all);
  expect(filterMissing).toBe(false);
  expect(best.map(({ nodeId }) => nodeId)).toEqual([199, 197, 195].map((n) => all[n]!.nodeId));
  // Only what everything else allowed, each once, as it was announced.
  expect(seen).toHaveLength(100);
  expect(seen[0]).toEqual(all[100]);

  expect(mesh.unregisterPlacementFilter(id)).toBe(true);
  expect(mesh.unregisterPlacementFilter(id)).toBe(false);
  expect(await rank(placement, all)).toEqual({ nodes: [], filterMissing: true });
});

test('only true is a yes, and who throws is heard', async () => {
  const answers = [true, false, 1, 'true', undefined, Promise.resolve(true)];
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation();
  mesh.registerPlacementFilter('odd', ({ nodeId }) => {
    const answer = answers[Number(nodeId)];
    if (nodeId === 6n) throw new Error('no idea');
    return answer as boolean;
  });
  const candidates = Array.from({ length: 7 }, (_, id) => ({ ...NOTHING, nodeId: BigInt(id) }));
  const placement = standardPlacement().withCustomFilterId('odd').build();
  expect((await rank(placement, candidates)).nodes).toEqual([{ nodeId: 0n, score: 1 }]);
  const calls = warn.mock.calls.map(([message]) => message);
  warn.mockRestore();
  mesh.unregisterPlacementFilter('odd');
  expect(calls).toEqual(['placement filter "odd" threw for node 6: no idea']);
});

test('a filter that leaves while it is asked still answers', async () => {
  mesh.registerPlacementFilter('leaving', () => {
    mesh.unregisterPlacementFilter('leaving');
    return true;
  });
  const placement = standardPlacement().withCustomFilterId('leaving').build();
  expect((await rank(placement, nodes(130))).nodes).toHaveLength(130);
  expect(mesh.hasPlacementFilter('leaving')).toBe(false);
});

test('ids and functions are checked before anything is registered', () => {
  for (const id of ['', 5, undefined, 'x'.repeat(257)]) {
    expect(() => mesh.registerPlacementFilter(id as string, () => true)).toThrow(
      InvalidArgumentError,
    );
    expect(() => mesh.hasPlacementFilter(id as string)).toThrow(InvalidArgumentError);
  }
  expect(() => mesh.registerPlacementFilter('x', null as never)).toThrow(InvalidArgumentError);
  expect(mesh.hasPlacementFilter('x')).toBe(false);
});

test('a node that has been shut down registers nothing', async () => {
  const other = await NetMesh.create({ bindAddr: '127.0.0.1:0', psk: PSK });
  await other.shutdown();
  expect(() => other.registerPlacementFilter('late', () => true)).toThrow(ShutDownError);
  expect(() => other.hasPlacementFilter('late')).toThrow('MeshNode has been shut down');
});

test('registering and leaving, over and over, leaves nothing behind', () => {
  // More often than the registry has room.
  for (let round = 0; round < 5000; round++) {
    expect(mesh.registerPlacementFilter('again', () => true)).toBe(true);
    expect(mesh.unregisterPlacementFilter('again')).toBe(true);
  }
});

describe('a filter of a worker', () => {
  const ADDON = path.resolve(__dirname, '..', 'build', 'release', 'netmesh.node');

  /** Registers in a worker; `judge` is the source of the filter, which sees `asked`. */
  async function workerWith(id: string, judge: string, asked?: Int32Array): Promise<Worker> {
    const worker = new Worker(
      `const { parentPort, workerData: asked } = require('node:worker_threads');
       const { registerPlacementFilter } = require(${JSON.stringify(ADDON)});
       setInterval(() => {}, 1000);
       parentPort.postMessage(registerPlacementFilter(${JSON.stringify(id)}, ${judge}));`,
      { eval: true, workerData: asked },
    );
    const registered = await new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
    expect(registered).toBe(true);
    return worker;
  }

  test('serves the whole process until the worker ends', async () => {
    const worker = await workerWith(
      'theirs',
      '(all) => all.map(({ metadata }) => metadata.zone === "0")',
    );
    expect(mesh.hasPlacementFilter('theirs')).toBe(true);
    const placement = standardPlacement().withCustomFilterId('theirs').build();
    expect((await rank(placement, nodes(100))).nodes).toHaveLength(50);
    await worker.terminate();
    expect(mesh.hasPlacementFilter('theirs')).toBe(false);
    expect(mesh.registerPlacementFilter('theirs', () => true)).toBe(true);
    expect(mesh.unregisterPlacementFilter('theirs')).toBe(true);
  });

  test('that hangs lets whoever waits go when the worker ends', async () => {
    const asked = new Int32Array(new SharedArrayBuffer(4));
    const hang = '() => { Atomics.store(asked, 0, 1); Atomics.notify(asked, 0); for (;;); }';
    const worker = await workerWith('stuck', hang, asked);
    const placement = standardPlacement().withCustomFilterId('stuck').build();
    const ranking = rank(placement, nodes(100));
    expect(Atomics.wait(asked, 0, 0, 10_000)).not.toBe('timed-out');
    await worker.terminate();
    expect((await ranking).nodes).toEqual([]);
    expect(mesh.hasPlacementFilter('stuck')).toBe(false);
  });

  test('that hangs costs whoever waits no more than its time', async () => {
    const worker = await workerWith('slow', '() => { for (;;); }');
    const placement = standardPlacement().withCustomFilterId('slow').build();
    const began = performance.now();
    // Two batches: the second is not even asked.
    expect((await rank(placement, nodes(100))).nodes).toEqual([]);
    expect(performance.now() - began).toBeGreaterThanOrEqual(4900);
    expect(performance.now() - began).toBeLessThan(9500);
    await worker.terminate();
  });
});
