import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

jest.setTimeout(60_000);

// The short form of `bench/bus-soak.mjs`, which takes 100 million events.
test('a bounded bus takes five million events without growing', async () => {
  const script = path.resolve(__dirname, '..', 'bench', 'bus-soak.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [script, '5e6']);
  const resident = [...stdout.matchAll(/(\d+) M events, (\d+) MiB/g)].map(([, , mib]) =>
    Number(mib),
  );
  expect(resident).toHaveLength(20);
  // The store is full and the code compiled after the first quarter.
  expect(resident.at(-1)! - resident[5]!).toBeLessThan(20);
  expect(stdout).toContain('5.0 M read, 0.0 M expired before');
});
