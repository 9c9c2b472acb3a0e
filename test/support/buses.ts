// Buses for tests, closed after each test.

import { NetNode, type NetNodeConfig } from 'netmesh';

const open = new Set<NetNode>();

afterEach(async () => {
  const buses = [...open];
  open.clear();
  await Promise.all(buses.map((bus) => bus.shutdown().catch(() => undefined)));
});

/** A bus with small rings, on memory unless told otherwise. */
export async function openBus(config: NetNodeConfig = {}): Promise<NetNode> {
  const bus = await NetNode.create({ bufferCapacity: 1024, ...config });
  open.add(bus);
  return bus;
}
