import { Reader, Supply } from '../lib/internal/async_queue';

/** A supply over an array. */
function supplyOf<T>(): { items: T[]; supply: Supply<T> } {
  const items: T[] = [];
  return { items, supply: new Supply<T>(() => items.shift()) };
}

function readerOf<T>(
  supply: Supply<T>,
  signal?: AbortSignal,
  release = () => undefined,
): Reader<T> {
  return new Reader<T>(supply, signal, release);
}

const END = { value: undefined, done: true };

describe('a reader', () => {
  test('gets items that are there without waiting', async () => {
    const { items, supply } = supplyOf<number>();
    items.push(1, 2);
    const reader = readerOf(supply);
    expect(await reader.next()).toEqual({ value: 1, done: false });
    expect(await reader.next()).toEqual({ value: 2, done: false });
  });

  test('waits for items to come, in the order in which it asked', async () => {
    const { items, supply } = supplyOf<number>();
    const reader = readerOf(supply);
    const asked = Promise.all([reader.next(), reader.next(), reader.next()]);
    items.push(1, 2);
    supply.wake();
    items.push(3);
    supply.wake();
    expect((await asked).map(({ value }) => value)).toEqual([1, 2, 3]);
  });

  test('gets the items left before the end', async () => {
    const { items, supply } = supplyOf<number>();
    const reader = readerOf(supply);
    items.push(1);
    supply.end();
    expect(await reader.next()).toEqual({ value: 1, done: false });
    expect(await reader.next()).toEqual(END);
    expect(await reader.next()).toEqual(END);
  });

  test('hears of a failure once, after the items left, and of the end from then on', async () => {
    const { items, supply } = supplyOf<number>();
    const reader = readerOf(supply);
    items.push(1);
    supply.end(new Error('gone'));
    expect(await reader.next()).toEqual({ value: 1, done: false });
    await expect(reader.next()).rejects.toThrow('gone');
    expect(await reader.next()).toEqual(END);
  });

  test('that waits is settled by the end and by a failure', async () => {
    const ended = supplyOf<number>();
    const waiting = readerOf(ended.supply).next();
    ended.supply.end();
    expect(await waiting).toEqual(END);

    const failed = supplyOf<number>();
    const reader = readerOf(failed.supply);
    const [first, second] = [reader.next(), reader.next()];
    failed.supply.end(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    expect(await second).toEqual(END);
  });

  test('gives its place up when returned', async () => {
    const { items, supply } = supplyOf<number>();
    const release = jest.fn();
    const leaving = readerOf(supply, undefined, release);
    const staying = readerOf(supply);
    const lost = leaving.next();
    const got = staying.next();
    expect(await leaving.return()).toEqual(END);
    expect(await lost).toEqual(END);
    items.push(7);
    supply.wake();
    expect(await got).toEqual({ value: 7, done: false });
    expect(await leaving.next()).toEqual(END);
    await leaving.return();
    expect(release).toHaveBeenCalledTimes(1);
  });

  test('shares items with the other readers of its supply', async () => {
    const { items, supply } = supplyOf<number>();
    const [a, b] = [readerOf(supply), readerOf(supply)];
    const asked = Promise.all([a.next(), b.next(), a.next()]);
    items.push(1, 2, 3);
    supply.wake();
    expect((await asked).map(({ value }) => value)).toEqual([1, 2, 3]);
  });

  test('is closed by leaving a for await loop and by await using', async () => {
    const { items, supply } = supplyOf<number>();
    const release = jest.fn();
    items.push(1, 2);
    for await (const item of readerOf(supply, undefined, release)) {
      expect(item).toBe(1);
      break;
    }
    expect(release).toHaveBeenCalledTimes(1);
    expect(items).toEqual([2]);
    await readerOf(supply, undefined, release)[Symbol.asyncDispose]();
    expect(release).toHaveBeenCalledTimes(2);
  });
});

describe('a signal', () => {
  test('rejects a waiting reader with its reason and is listened to no longer', async () => {
    const { supply } = supplyOf<number>();
    const controller = new AbortController();
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    const release = jest.fn();
    const reader = readerOf(supply, controller.signal, release);
    const waiting = reader.next();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(await reader.next()).toEqual(END);
    expect(release).toHaveBeenCalledTimes(1);
    expect(remove).toHaveBeenCalled();
  });

  test('that fires between two items rejects the next request', async () => {
    const { items, supply } = supplyOf<number>();
    const controller = new AbortController();
    const reader = readerOf(supply, controller.signal);
    items.push(1, 2);
    await reader.next();
    controller.abort('stop');
    await expect(reader.next()).rejects.toBe('stop');
    expect(await reader.next()).toEqual(END);
    expect(items).toEqual([2]);
  });

  test('that fired before rejects the first request', async () => {
    const { items, supply } = supplyOf<number>();
    items.push(1);
    const release = jest.fn();
    const reader = readerOf(supply, AbortSignal.abort('too late'), release);
    await expect(reader.next()).rejects.toBe('too late');
    expect(release).toHaveBeenCalledTimes(1);
    expect(items).toEqual([1]);
  });

  test('is let go when the reader is returned or ends', async () => {
    const controller = new AbortController();
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    await readerOf(supplyOf<number>().supply, controller.signal).return();
    expect(remove).toHaveBeenCalledTimes(1);
    const { supply } = supplyOf<number>();
    const reader = readerOf(supply, controller.signal);
    supply.end();
    await reader.next();
    expect(remove).toHaveBeenCalledTimes(2);
  });
});

test('a consumer that is no reader is told of items and of the end', () => {
  const { items, supply } = supplyOf<number>();
  const onReady = jest.fn();
  supply.onReady = onReady;
  items.push(1);
  supply.wake();
  expect(onReady).toHaveBeenCalledTimes(1);
  supply.take();
  supply.end();
  expect(onReady.mock.calls.length).toBeGreaterThan(1);
  expect(supply.ended).toBe(true);
});
