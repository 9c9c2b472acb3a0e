// Checks of capability sets and filters, field by field. Each failure is a CapabilityError that names
// the field, what it must be, and what it was.

import { CapabilityError } from '../core/errors';
import { describe } from './validate';

const U32_MAX = 0xffff_ffff;
const U16_MAX = 0xffff;

/** A value for a message; numbers as they are. */
export function show(value: unknown): string {
  return typeof value === 'number' ? String(value) : describe(value);
}

export function refuse(name: string, expected: string, value: unknown): CapabilityError {
  return new CapabilityError(`capability: ${name} must be ${expected}, got ${show(value)}`);
}

export function string(value: unknown, name: string): string {
  if (typeof value !== 'string') throw refuse(name, 'a string', value);
  return value;
}

/** Runs a check unless the value is undefined. */
export function maybe<T>(
  value: unknown,
  name: string,
  check: (value: unknown, name: string) => T,
): T | undefined {
  return value === undefined ? undefined : check(value, name);
}

/** Checks every element, unless there is no list. */
export function list<T>(
  value: unknown,
  name: string,
  check: (value: unknown, name: string) => T,
): T[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw refuse(name, 'an array', value);
  return value.map((each: unknown, index) => check(each, `${name}[${index}]`));
}

export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new CapabilityError(`capability: missing field ${name}`);
  return value;
}

function integer(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > U32_MAX) {
    throw refuse(name, `an integer in [0, ${U32_MAX}]`, value);
  }
  return value;
}

function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw refuse(name, 'a boolean', value);
  return value;
}

/** Readers of an object's fields. All but `text` take a missing field. */
export interface Fields {
  object: Record<string, unknown>;
  raw: (key: string) => unknown;
  /** A string that must be there. */
  text: (key: string) => string;
  word: (key: string) => string | undefined;
  words: (key: string) => string[] | undefined;
  flag: (key: string) => boolean | undefined;
  u32: (key: string) => number | undefined;
  /** Above 65535 counts as 65535. */
  u16: (key: string) => number | undefined;
}

export function fields(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse(name, 'an object', value);
  }
  const object = value as Record<string, unknown>;
  const at = (key: string): string => (name === 'capabilities' ? key : `${name}.${key}`);
  return {
    object,
    raw: (key) => object[key],
    text: (key) => string(required(object[key], at(key)), at(key)),
    word: (key) => maybe(object[key], at(key), string),
    words: (key) => list(object[key], at(key), string),
    flag: (key) => maybe(object[key], at(key), boolean),
    u32: (key) => maybe(object[key], at(key), integer),
    u16: (key) => {
      const number = maybe(object[key], at(key), integer);
      return number === undefined ? undefined : Math.min(number, U16_MAX);
    },
  };
}

/** Without the fields that are undefined. */
export function compact<T extends object>(object: T): T {
  // A loop, as this runs once per query.
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[key];
    if (value !== undefined) out[key] = value;
  }
  return out as T;
}
