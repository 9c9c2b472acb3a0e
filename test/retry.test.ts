import fc from 'fast-check';

import { BackpressureError, NotConnectedError, ShutDownError } from 'netmesh';
import {
  SEND_BACKPRESSURE,
  SEND_NOT_CONNECTED,
  SEND_SHUT_DOWN,
  SendLane,
  type SendTarget,
} from '../lib/internal/retry';

/** A stream of the addon as the lane sees it: takes as many events as it has credit for. */
class ScriptedStream implements SendTarget {
  readonly epoch = 1n;
  closed = false;
  credit = 0;
  shutDown = false;
  readonly wire: string[] = [];
  sends = 0;
  wanted = 0;

  send(events: readonly Uint8Array[], from: number, partial: boolean): number {
    this.sends++;
    if (this.shutDown) return SEND_SHUT_DOWN;
    if (this.closed) return SEND_NOT_CONNECTED;
    const left = events.slice(from);
    if (left.length === 0) return 0;
    const taken = Math.min(left.length, this.credit);
    if (taken === 0 || (!partial && taken < left.length)) return SEND_BACKPRESSURE;
    this.credit -= taken;
    for (const event of left.slice(0, taken)) this.wire.push(Buffer.from(event).toString());
    return taken;
  }

  wantCredit(): boolean {
    this.wanted++;
    return this.credit === 0 && !this.closed;
  }
}

function events(...texts: string[]): Buffer[] {
  return texts.map((text) => Buffer.from(text));
}

let stream: ScriptedStream;
let lane: SendLane;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'performance'] });
  stream = new ScriptedStream();
  lane = new SendLane(stream);
});

afterEach(() => {
  jest.useRealTimers();
});

/** More credit, announced as the addon does. */
function grant(credit: number): void {
  stream.credit += credit;
  lane.wake();
}

test('events that fit are sent at once', async () => {
  stream.credit = 2;
  await lane.send(stream, events('a', 'b'), { maxRetries: 8 });
  expect(stream.wire).toEqual(['a', 'b']);
  expect(stream.sends).toBe(1);
  expect(jest.getTimerCount()).toBe(0);
});

test('an empty list succeeds without credit', async () => {
  await lane.send(stream, [], { maxRetries: 0 });
  expect(stream.wire).toEqual([]);
});

test('a retry goes on at the first event that was not sent', async () => {
  stream.credit = 2;
  const sent = lane.send(stream, events('a', 'b', 'c', 'd'), { maxRetries: 8 });
  expect(stream.wire).toEqual(['a', 'b']);
  grant(1);
  expect(stream.wire).toEqual(['a', 'b', 'c']);
  grant(5);
  await sent;
  expect(stream.wire).toEqual(['a', 'b', 'c', 'd']);
  expect(jest.getTimerCount()).toBe(0);
});

test('credit wakes a waiting send early', async () => {
  const sent = lane.send(stream, events('a'), { maxRetries: 1 });
  grant(1);
  await sent;
  expect(jest.getTimerCount()).toBe(0);
});

test('credit that comes between the refusal and the wait is used at once', async () => {
  let asked = 0;
  stream.wantCredit = () => {
    stream.credit = 1;
    return asked++ > 0;
  };
  await lane.send(stream, events('a'), { maxRetries: 1 });
  expect(stream.wire).toEqual(['a']);
});

test('pauses double from 5 to 200 milliseconds and the last failure comes without one', async () => {
  const started = Date.now();
  const tries: number[] = [];
  const send = stream.send.bind(stream);
  stream.send = (...args) => {
    tries.push(Date.now() - started);
    return send(...args);
  };
  const failed = expect(lane.send(stream, events('a'), { maxRetries: 8 })).rejects.toThrow(
    'stream would block: stream queue full',
  );
  jest.advanceTimersByTime(10_000);
  await failed;
  expect(tries).toEqual([0, 5, 15, 35, 75, 155, 315, 515, 715]);
});

test('no retries means one try and no wait', async () => {
  stream.credit = 1;
  const error = await lane
    .send(stream, events('a', 'b'), { maxRetries: 0 })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BackpressureError);
  expect((error as BackpressureError).eventsSent).toBe(1);
  expect(stream.sends).toBe(1);
  expect(jest.getTimerCount()).toBe(0);
});

test('a final failure says how many events were sent', async () => {
  stream.credit = 2;
  const sent = lane
    .send(stream, events('a', 'b', 'c', 'd'), { maxRetries: 2 })
    .catch((reason: unknown) => reason);
  grant(1);
  jest.advanceTimersByTime(1000);
  const error = await sent;
  expect(error).toBeInstanceOf(BackpressureError);
  expect((error as BackpressureError).eventsSent).toBe(3);
});

test('early wakes cost no retries', async () => {
  const sent = lane.send(stream, events(...'a b c d e f g h i j'.split(' ')), { maxRetries: 1 });
  for (let i = 0; i < 9; i++) grant(1);
  expect(stream.wire).toHaveLength(9);
  jest.advanceTimersByTime(4);
  grant(1);
  await sent;
});

test('a closed stream fails at once, however many retries are left', async () => {
  const sent = lane.send(stream, events('a'), { maxRetries: 4096 });
  stream.closed = true;
  lane.wake();
  await expect(sent).rejects.toBeInstanceOf(NotConnectedError);
  await expect(sent).rejects.toThrow('stream not connected: peer session gone');
  await expect(lane.send(stream, events('b'), { maxRetries: 8 })).rejects.toBeInstanceOf(
    NotConnectedError,
  );
});

test('a node that is shut down refuses', async () => {
  stream.shutDown = true;
  await expect(lane.send(stream, events('a'), { maxRetries: 8 })).rejects.toBeInstanceOf(
    ShutDownError,
  );
});

test('calls are served in order and their events do not mix', async () => {
  stream.credit = 1;
  const calls = [
    lane.send(stream, events('a1', 'a2', 'a3'), { maxRetries: 8 }),
    lane.send(stream, events('b1', 'b2'), { maxRetries: 8 }),
    lane.send(stream, events('c1'), { maxRetries: 8 }),
  ];
  for (let i = 0; i < 5; i++) grant(1);
  await Promise.all(calls);
  expect(stream.wire).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'c1']);
});

test('the retries of a call begin when it is its turn', async () => {
  const first = lane.send(stream, events('a'), { maxRetries: 8 }).catch(() => 'failed');
  const second = lane.send(stream, events('b'), { maxRetries: 1 });
  jest.advanceTimersByTime(714);
  expect(lane.busy).toBe(true);
  jest.advanceTimersByTime(2);
  expect(await first).toBe('failed');
  grant(1);
  await second;
  expect(stream.wire).toEqual(['b']);
});

test('events are copied when a call has to wait, unless they are borrowed', async () => {
  const event = Buffer.from('a');
  const sent = lane.send(stream, [event], { maxRetries: 8 });
  event.write('x');
  grant(1);
  await sent;
  expect(stream.wire).toEqual(['a']);

  const borrowed = Buffer.from('b');
  const again = lane.send(stream, [borrowed], { maxRetries: 8, borrowed: true });
  borrowed.write('y');
  grant(1);
  await again;
  expect(stream.wire).toEqual(['a', 'y']);
});

test('an aborted call rejects with the reason and lets the next one go on', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const first = lane.send(stream, events('a'), { maxRetries: 8, signal: controller.signal });
  const second = lane.send(stream, events('b'), { maxRetries: 8 });
  controller.abort(reason);
  await expect(first).rejects.toBe(reason);
  grant(1);
  await second;
  expect(stream.wire).toEqual(['b']);
  await expect(
    lane.send(stream, events('c'), { maxRetries: 8, signal: controller.signal }),
  ).rejects.toBe(reason);
});

test('a call that waits its turn can be aborted', async () => {
  const controller = new AbortController();
  const first = lane.send(stream, events('a'), { maxRetries: 8 });
  const second = lane.send(stream, events('b'), { maxRetries: 8, signal: controller.signal });
  controller.abort('no');
  await expect(second).rejects.toBe('no');
  grant(5);
  await first;
  expect(stream.wire).toEqual(['a']);
});

test('an error of the addon rejects only the call that caused it', async () => {
  const send = stream.send.bind(stream);
  stream.send = (list, from, partial) => {
    if (list.some((event) => event.length > 3)) throw new RangeError('too large');
    return send(list, from, partial);
  };
  const first = lane.send(stream, events('a'), { maxRetries: 8 });
  const second = lane.send(stream, events('large'), { maxRetries: 8 });
  const third = lane.send(stream, events('c'), { maxRetries: 8 });
  const refused = expect(second).rejects.toThrow('too large');
  grant(2);
  await Promise.all([first, refused, third]);
  expect(stream.wire).toEqual(['a', 'c']);
});

test('all waiting calls can be given up together', async () => {
  const calls = [1, 2, 3].map(() => lane.send(stream, events('a'), { maxRetries: 8 }));
  const outcomes = Promise.allSettled(calls);
  lane.fail(new ShutDownError());
  expect((await outcomes).map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
  expect(jest.getTimerCount()).toBe(0);
  expect(lane.busy).toBe(false);
});

test('whatever the credit, nothing is lost, duplicated or reordered', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 12 }),
      fc.array(
        fc.oneof(
          fc.record({ credit: fc.integer({ min: 1, max: 6 }), announced: fc.boolean() }),
          fc.record({ pauseMs: fc.integer({ min: 1, max: 250 }) }),
        ),
        { maxLength: 40 },
      ),
      async (batches, happenings) => {
        stream = new ScriptedStream();
        lane = new SendLane(stream);
        const expected = batches.flatMap((size, call) =>
          Array.from({ length: size }, (_, index) => `${call}.${index}`),
        );
        let next = 0;
        const sends = batches.map((size) =>
          lane.send(stream, events(...expected.slice(next, (next += size))), {
            maxRetries: 4096,
          }),
        );
        for (const happening of happenings) {
          if ('pauseMs' in happening) jest.advanceTimersByTime(happening.pauseMs);
          else if (happening.announced) grant(happening.credit);
          else stream.credit += happening.credit;
          expect(stream.wire).toEqual(expected.slice(0, stream.wire.length));
        }
        grant(expected.length);
        await Promise.all(sends);
        expect(stream.wire).toEqual(expected);
        expect(jest.getTimerCount()).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});
