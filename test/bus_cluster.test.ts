import { openBus } from './support/buses';
import { type Server, freePort, missing, startNats } from './support/servers';

// The worked example of docs/operations.md: three real NATS servers in a cluster, one of them killed.

jest.setTimeout(60_000);

async function startCluster(): Promise<Server[]> {
  const routes = await Promise.all([freePort(), freePort(), freePort()]);
  return Promise.all(
    routes.map((port, index) =>
      startNats(
        ...['-n', `server-${index}`, '--cluster_name', 'test'],
        ...['-cluster', `nats://127.0.0.1:${port}`],
        ...['-routes', routes.map((each) => `nats://127.0.0.1:${each}`).join(',')],
      ),
    ),
  );
}

(missing('nats-server') ? test.skip : test)(
  'a cluster of three servers loses no event when one of them is killed under load',
  async () => {
    const servers = await startCluster();
    const url = `nats://127.0.0.1:${servers[0]!.port}`;
    const bus = await openBus({
      shards: 3,
      bufferCapacity: 65_536,
      backpressure: 'fail_producer',
      adapterBatchRetries: 30,
      transport: { type: 'jetstream', url, replicas: 3, requestTimeoutMs: 1000 },
    });
    let emitted = 0;
    const emitSome = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < 20; i++) bus.emit({ n: emitted++ });
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    await emitSome(50);
    await bus.flush();
    const running = emitSome(100);
    // The one that the bus is connected to: it moves on to another.
    await servers[0]!.stop('SIGKILL');
    await running;
    await bus.flush();
    expect(bus.stats().eventsLost).toBe(0n);

    const seen: number[] = [];
    let cursor: string | undefined;
    for (let more = true; more;) {
      const page = await bus.poll({ limit: 1000, cursor });
      seen.push(...page.events.map(({ raw }) => (JSON.parse(raw) as { n: number }).n));
      cursor = page.nextId;
      more = page.hasMore || page.failedShards !== undefined;
    }
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: emitted }, (_, n) => n));
  },
);
