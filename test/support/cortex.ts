// What the tests of cortex share. Folders and adapters are gone after each test.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Redex, TasksAdapter } from 'netmesh';

export const ORIGIN = 0xabcdef01n;

const folders: string[] = [];
const open: Array<{ close(): void }> = [];

export function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'netmesh-cortex-'));
  folders.push(made);
  return made;
}

/** Closed after the test. */
export function closing<T extends { close(): void }>(it: T): T {
  open.push(it);
  return it;
}

export async function openTasks(redex = new Redex(), origin: bigint | number = ORIGIN) {
  return closing(await TasksAdapter.open(redex, origin));
}

afterEach(() => {
  for (const each of open.splice(0)) each.close();
  for (const each of folders.splice(0)) rmSync(each, { recursive: true });
});

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export async function take<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const each of stream) {
    taken.push(each);
    if (taken.length === count) break;
  }
  return taken;
}
