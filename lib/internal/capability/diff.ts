// What changed between two capability sets, and the way back.

import { describe, invalid } from '../validate';
import { checkCapabilities, checkTags, type CapabilitySetWire } from './capability_set';
import { byCodePoint } from './order';
import { meaningOf } from './taxonomy';

/** A change of one metadata entry. */
export type MetadataChange =
  | { kind: 'added'; key: string; value: string }
  | { kind: 'removed'; key: string; prev_value: string }
  | { kind: 'updated'; key: string; prev_value: string; new_value: string };

/** What {@link diffCapabilities} found, sorted. */
export interface CapabilitySetDiff {
  added_tags: string[];
  removed_tags: string[];
  metadata_changes: MetadataChange[];
}

/** Tags by what they mean; of several spellings of one the last counts. */
function tagsByMeaning(tags: readonly string[]): Map<string, string> {
  const byMeaning = new Map<string, string>();
  for (const tag of tags) {
    if (tag === '') throw invalid('tagFromString: tag must be non-empty');
    byMeaning.set(meaningOf(tag), tag);
  }
  return byMeaning;
}

/** The tags of `a` that mean something that no tag of `b` means. */
function missing(a: Map<string, string>, b: Map<string, string>): string[] {
  return [...a]
    .filter(([meaning]) => !b.has(meaning))
    .map(([, tag]) => tag)
    .sort(byCodePoint);
}

function metadataChange(
  key: string,
  prev: Readonly<Record<string, string>>,
  curr: Readonly<Record<string, string>>,
): MetadataChange | undefined {
  const before = Object.hasOwn(prev, key) ? prev[key] : undefined;
  const after = Object.hasOwn(curr, key) ? curr[key] : undefined;
  if (before === after) return undefined;
  if (before === undefined) return { kind: 'added', key, value: after ?? '' };
  if (after === undefined) return { kind: 'removed', key, prev_value: before };
  return { kind: 'updated', key, prev_value: before, new_value: after };
}

/**
 * What leads from `prev` to `curr`. Tags that differ in nothing but `=` or `:` before the value are the
 * same; a value that appears, changes or disappears is a tag removed and one added.
 *
 * @throws InvalidArgumentError for an empty tag, or a set that is none.
 */
export function diffCapabilities(
  prev: CapabilitySetWire,
  curr: CapabilitySetWire,
): CapabilitySetDiff {
  checkCapabilities(prev, 'prev');
  checkCapabilities(curr, 'curr');
  const before = tagsByMeaning(prev.tags);
  const after = tagsByMeaning(curr.tags);
  const keys = new Set([...Object.keys(prev.metadata), ...Object.keys(curr.metadata)]);
  return {
    added_tags: missing(after, before),
    removed_tags: missing(before, after),
    metadata_changes: [...keys]
      .sort(byCodePoint)
      .map((key) => metadataChange(key, prev.metadata, curr.metadata))
      .filter((change) => change !== undefined),
  };
}

function doesNotApply(why: string): never {
  throw invalid(`applyCapabilityDiff: the diff is of another set: ${why}`);
}

function applyToTags(tags: readonly string[], diff: CapabilitySetDiff): string[] {
  const have = tagsByMeaning(tags);
  const removed = tagsByMeaning(diff.removed_tags);
  const added = tagsByMeaning(diff.added_tags);
  for (const [meaning, tag] of removed) {
    if (!have.has(meaning)) doesNotApply(`there is no tag ${JSON.stringify(tag)}`);
  }
  for (const [meaning, tag] of added) {
    if (have.has(meaning)) doesNotApply(`the tag ${JSON.stringify(tag)} is there already`);
  }
  return [...tags.filter((tag) => !removed.has(meaningOf(tag))), ...added.values()];
}

function applyToMetadata(
  metadata: Readonly<Record<string, string>>,
  changes: readonly MetadataChange[],
): Record<string, string> {
  const entries = new Map(Object.entries(metadata));
  for (const change of changes) {
    const expected = change.kind === 'added' ? undefined : change.prev_value;
    const value = entries.get(change.key);
    if (value !== expected) {
      const there = value === undefined ? 'is not there' : `is ${JSON.stringify(value)}`;
      doesNotApply(`the metadata ${JSON.stringify(change.key)} ${there}`);
    }
    if (change.kind === 'removed') entries.delete(change.key);
    else entries.set(change.key, change.kind === 'added' ? change.value : change.new_value);
  }
  return Object.fromEntries(entries);
}

/**
 * A copy of `prev` with a diff applied: `applyCapabilityDiff(prev, diffCapabilities(prev, curr))` has the
 * tags and metadata of `curr`. What stays keeps its order and spelling; what is new comes last.
 *
 * @throws InvalidArgumentError, with nothing changed, when the diff was made from another set.
 */
export function applyCapabilityDiff(
  prev: CapabilitySetWire,
  diff: CapabilitySetDiff,
): CapabilitySetWire {
  checkCapabilities(prev, 'prev');
  checkTags(diff?.added_tags, 'diff.added_tags');
  checkTags(diff.removed_tags, 'diff.removed_tags');
  if (!Array.isArray(diff.metadata_changes)) {
    throw invalid(`diff.metadata_changes must be an array; got ${describe(diff.metadata_changes)}`);
  }
  return {
    tags: applyToTags(prev.tags, diff),
    metadata: applyToMetadata(prev.metadata, diff.metadata_changes),
  };
}
