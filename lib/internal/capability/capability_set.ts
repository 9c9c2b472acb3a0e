// Capability sets as they travel, and the helpers that build them up.

import { describe, invalid, string } from '../validate';
import type { AxisSeparator, TaxonomyAxis } from './taxonomy';

/** Tags and metadata, as they are announced. */
export interface CapabilitySetWire {
  tags: string[];
  metadata: Record<string, string>;
}

/** A set with nothing in it; each call makes a new one. */
export function emptyCapabilities(): CapabilitySetWire {
  return { tags: [], metadata: {} };
}

/** A copy with the tag at the end, unless the very same text is there already. */
function withTag(caps: CapabilitySetWire, tag: string): CapabilitySetWire {
  checkCapabilities(caps, 'caps');
  return { tags: [...new Set(caps.tags).add(tag)], metadata: { ...caps.metadata } };
}

/**
 * A copy of `caps` with the tag `<axis>.<key>`.
 *
 * @throws InvalidArgumentError when `key` is empty, or an argument is not of its type.
 */
export function requireTag(
  caps: CapabilitySetWire,
  axis: TaxonomyAxis,
  key: string,
): CapabilitySetWire {
  if (key === '') throw invalid('requireTag: key must be non-empty');
  return withTag(caps, `${string(axis, 'axis')}.${string(key, 'key')}`);
}

/**
 * A copy of `caps` with the tag `<axis>.<key><separator><value>`.
 *
 * @throws InvalidArgumentError when `key` or `value` is empty, or an argument is not of its type.
 */
export function requireAxisValue(
  caps: CapabilitySetWire,
  axis: TaxonomyAxis,
  key: string,
  value: string,
  separator: AxisSeparator = '=',
): CapabilitySetWire {
  if (key === '') throw invalid('requireAxisValue: key must be non-empty');
  if (value === '') throw invalid('requireAxisValue: value must be non-empty');
  const head = `${string(axis, 'axis')}.${string(key, 'key')}`;
  return withTag(caps, head + string(separator, 'separator') + string(value, 'value'));
}

/**
 * A copy of `caps` with one metadata entry set.
 *
 * @throws InvalidArgumentError when `key` is empty, or an argument is not of its type.
 */
export function withMetadata(
  caps: CapabilitySetWire,
  key: string,
  value: string,
): CapabilitySetWire {
  if (key === '') throw invalid('withMetadata: key must be non-empty');
  checkCapabilities(caps, 'caps');
  const added = { [string(key, 'key')]: string(value, 'value') };
  return { tags: [...caps.tags], metadata: { ...caps.metadata, ...added } };
}

/** Throws unless `value` is an array of strings. */
export function checkTags(value: unknown, what: string): asserts value is readonly string[] {
  if (!Array.isArray(value)) {
    throw invalid(`${what} must be an array of strings; got ${describe(value)}`);
  }
  for (let index = 0; index < value.length; index++) {
    const tag: unknown = value[index];
    if (typeof tag !== 'string') {
      throw invalid(`${what}[${index}] must be a string; got ${describe(tag)}`);
    }
  }
}

/** Throws unless `value` is an object whose own values are strings. */
export function checkMetadata(
  value: unknown,
  what: string,
): asserts value is Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${what} must be an object of strings; got ${describe(value)}`);
  }
  for (const key of Object.keys(value)) {
    const each: unknown = (value as Record<string, unknown>)[key];
    if (typeof each !== 'string') {
      throw invalid(`${what}[${JSON.stringify(key)}] must be a string; got ${describe(each)}`);
    }
  }
}

/** Throws unless `value` has tags and metadata of the right types. */
export function checkCapabilities(
  value: unknown,
  what: string,
): asserts value is CapabilitySetWire {
  if (typeof value !== 'object' || value === null) {
    throw invalid(`${what} must be { tags, metadata }; got ${describe(value)}`);
  }
  const { tags, metadata } = value as { tags?: unknown; metadata?: unknown };
  checkTags(tags, `${what}.tags`);
  checkMetadata(metadata, `${what}.metadata`);
}
