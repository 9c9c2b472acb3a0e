import { Child } from './support/children';
import { missing, startRedis } from './support/servers';

// Buses in several threads of one process, which end in every way that threads do.

jest.setTimeout(30_000);

const EXPECTED = {
  counts: [5000, 5000, 5000],
  terminated: [1, 1, 1],
  exited: [7, 7, 7],
  count: 5000,
};

async function run(...args: string[]): Promise<void> {
  const result = await new Child('bus_workers.cjs', args).ended;
  expect({ ...result, stdout: '' }).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  expect(JSON.parse(result.stdout)).toEqual(EXPECTED);
}

describe('buses in several worker threads', () => {
  test('on memory keep to themselves, and end with their thread', () => run());

  (missing('redis-server') ? test.skip : test)(
    'on Redis keep to themselves, and end with their thread',
    async () => {
      const { port } = await startRedis();
      await run(`redis://127.0.0.1:${port}`);
    },
  );
});
