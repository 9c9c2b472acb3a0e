import { Child, runChild } from './support/children';

jest.setTimeout(60_000);

describe('a process', () => {
  test.each([
    ['bound', 'with a node that was never started'],
    ['unref', 'with started nodes that are unref’ed'],
    ['shut-down', 'after shutting its nodes down'],
  ])('ends by itself: %s (%s)', async (way) => {
    expect(await runChild('exit.cjs', [way])).toMatchObject({ code: 0, signal: null, stderr: '' });
  });

  test('is kept running by a started node', async () => {
    const child = new Child('exit.cjs', ['keeps-running']);
    await child.printed('started true true');
    const early = await Promise.race([
      child.ended,
      new Promise((resolve) => setTimeout(resolve, 300, 'running')),
    ]);
    expect(early).toBe('running');
    child.process.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ signal: 'SIGTERM' });
  });

  test('is kept running by a pending call until it is settled', async () => {
    const { code, stdout } = await runChild('exit.cjs', ['pending-connect']);
    expect(code).toBe(0);
    expect(stdout).toContain('connect failed: connection error: handshake timeout');
  });

  test('waits for a shutdown even when its node is unref’ed', async () => {
    const { code, stdout } = await runChild('exit.cjs', ['await-shutdown']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'shut down\n' });
  });

  test.each([
    ['exit-in-traffic', 7],
    ['exit-in-handshake', 8],
    ['exit-in-shutdown', 9],
  ])('can exit in the middle: %s', async (way, expected) => {
    expect(await runChild('exit.cjs', [way])).toMatchObject({
      code: expected,
      signal: null,
      stderr: '',
    });
  });

  test('can die of an exception in the middle', async () => {
    const { code, stderr } = await runChild('exit.cjs', ['throw-in-traffic']);
    expect(code).toBe(1);
    expect(stderr).toContain('on purpose');
  });

  test('that survives a listener’s exception goes on receiving', async () => {
    const { code, stdout } = await runChild('exit.cjs', ['throwing-listener']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'on purpose\nx\n' });
  });
});

test('worker threads each have nodes of their own, and may end without shutting down', async () => {
  const { code, stdout, stderr } = await runChild('workers.cjs');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    results: [2000, 2000],
    codes: [0, 0],
    terminated: 1,
    exited: 5,
  });
});
