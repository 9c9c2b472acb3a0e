// Rows as the addon hands them over, see NativeAdapter in types/native.d.ts.

import { Buffer } from 'node:buffer';

import { type Memory, type Task, TaskStatus } from './cortex_types';

const HEADER_BYTES = 8;
const FIXED_FIELDS = 3;
const ASCII_FLAG = 0x100;
const LOW_BYTE = 0xff;

/** Reads a block from its beginning to its end. */
export class RowReader {
  readonly count: number;
  readonly #fixed: BigUint64Array;
  readonly #words: Uint32Array;
  readonly #text: Buffer;
  #word = 0;
  #at = 0;

  constructor(block: ArrayBuffer) {
    const [count, words] = new Uint32Array(block, 0, 2) as unknown as [number, number];
    const fixedFields = count * FIXED_FIELDS;
    this.count = count;
    this.#fixed = new BigUint64Array(block, HEADER_BYTES, fixedFields);
    this.#words = new Uint32Array(block, HEADER_BYTES + fixedFields * 8, words);
    this.#text = Buffer.from(block, HEADER_BYTES + fixedFields * 8 + words * 4);
  }

  /** One of the fixed fields of a row. */
  fixed(row: number, field: number): bigint {
    return this.#fixed[row * FIXED_FIELDS + field] as bigint;
  }

  word(): number {
    return this.#words[this.#word++] as number;
  }

  text(ascii: boolean): string {
    const from = this.#at;
    this.#at += this.word();
    return this.#text.toString(ascii ? 'latin1' : 'utf8', from, this.#at);
  }

  bytes(): Buffer {
    const from = this.#at;
    this.#at += this.word();
    return this.#text.subarray(from, this.#at);
  }
}

export function decodeTasks(block: ArrayBuffer): Task[] {
  const reader = new RowReader(block);
  const tasks = new Array<Task>(reader.count);
  for (let row = 0; row < tasks.length; row++) {
    const flags = reader.word();
    tasks[row] = {
      id: reader.fixed(row, 0),
      title: reader.text((flags & ASCII_FLAG) !== 0),
      status: (flags & LOW_BYTE) === 0 ? TaskStatus.Pending : TaskStatus.Completed,
      createdNs: reader.fixed(row, 1),
      updatedNs: reader.fixed(row, 2),
    };
  }
  return tasks;
}

export function decodeMemories(block: ArrayBuffer): Memory[] {
  const reader = new RowReader(block);
  const memories = new Array<Memory>(reader.count);
  for (let row = 0; row < memories.length; row++) {
    const flags = reader.word();
    const ascii = (flags & ASCII_FLAG) !== 0;
    const content = reader.text(ascii);
    const source = reader.text(ascii);
    const tags = new Array<string>(reader.word());
    for (let tag = 0; tag < tags.length; tag++) tags[tag] = reader.text(ascii);
    memories[row] = {
      id: reader.fixed(row, 0),
      content,
      tags,
      source,
      createdNs: reader.fixed(row, 1),
      updatedNs: reader.fixed(row, 2),
      pinned: (flags & LOW_BYTE) !== 0,
    };
  }
  return memories;
}
