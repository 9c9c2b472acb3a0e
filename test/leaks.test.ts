import { runChild } from './support/children';

jest.setTimeout(120_000);

interface Sample {
  cycle: number;
  rss: number;
  descriptors: number;
  threads: number;
}

test('1000 connect and shutdown cycles leave no memory, descriptor or thread behind', async () => {
  const { code, stdout, stderr } = await runChild('cycles.cjs', ['1000'], ['--expose-gc']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const samples = JSON.parse(stdout) as Sample[];
  const first = samples[0]!;
  const last = samples.at(-1)!;
  expect(last.cycle).toBe(1000);
  for (const { descriptors, threads } of samples) {
    expect(descriptors).toBeLessThanOrEqual(first.descriptors + 2);
    expect(threads).toBeLessThanOrEqual(first.threads + 2);
  }
  // 24 KiB a cycle would show; the allocator's own noise does not.
  expect(last.rss - first.rss).toBeLessThan(24 * 1024 * 1024);
});

test('a node that nobody holds is closed by the garbage collector', async () => {
  const { code, stdout, stderr } = await runChild('garbage.cjs', [], ['--expose-gc']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const { before, most, after } = JSON.parse(stdout) as Record<string, number>;
  expect(most).toBeGreaterThanOrEqual(before! + 50);
  expect(after).toBeLessThanOrEqual(before!);
});
