// Nodes for tests: made with one key, on ports of the system's choice, closed after each test.

import { MeshNode, type MeshNodeConfig } from 'netmesh';

/** The key of every mesh in the tests. */
export const PSK = '42'.repeat(32);

const open = new Set<MeshNode>();

afterEach(async () => {
  const nodes = [...open];
  open.clear();
  await Promise.all(nodes.map(close));
});

/** Ends a node without waiting for peers that a test has cut off. */
async function close(node: MeshNode): Promise<void> {
  await node.shutdown({ drainMs: 0 }).catch(() => node[Symbol.asyncDispose]());
}

/** A node that is bound and not started. */
export async function createNode(config: Partial<MeshNodeConfig> = {}): Promise<MeshNode> {
  const node = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk: PSK, ...config });
  open.add(node);
  return node;
}

/** A node that is started. */
export async function startNode(config: Partial<MeshNodeConfig> = {}): Promise<MeshNode> {
  const node = await createNode(config);
  await node.start();
  return node;
}

/** Connects `from` to the started node `to`. */
export function connect(from: MeshNode, to: MeshNode): Promise<void> {
  return from.connect(to.localAddr(), to.publicKey(), to.nodeId());
}

/** Two started nodes, the first connected to the second, both aware of it. */
export async function connectedPair(
  configA: Partial<MeshNodeConfig> = {},
  configB: Partial<MeshNodeConfig> = {},
): Promise<[MeshNode, MeshNode]> {
  const [a, b] = await Promise.all([startNode(configA), startNode(configB)]);
  const up = peerEvent(b, 'peer:up');
  await connect(a, b);
  await up;
  return [a, b];
}

/** The next event of a node. */
export function peerEvent(
  node: MeshNode,
  name: 'peer:up' | 'peer:down',
): Promise<{ nodeId: bigint; reason?: string; addr?: string; security?: string }> {
  return new Promise((resolve) => {
    node.once(name, resolve);
  });
}

/** The next `count` items of an iterator. */
export async function take<T>(iterator: AsyncIterator<T, undefined>, count: number): Promise<T[]> {
  const items: T[] = [];
  while (items.length < count) {
    const { value, done } = await iterator.next();
    if (done === true)
      throw new Error(`the iterator ended after ${items.length} of ${count} items`);
    items.push(value);
  }
  return items;
}

/** Waits until something holds that no event announces. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`${what} did not come true within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Whether a promise is still unsettled after everything that is due now has run. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  const turn = new Promise((resolve) => setTimeout(resolve, 20, pending));
  return (await Promise.race([promise, turn])) === pending;
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<any> {
  return promise.then(
    (value) => {
      throw new Error(`expected a rejection, got ${String(value)}`);
    },
    (error: unknown) => error,
  );
}
