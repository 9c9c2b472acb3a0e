// Axes, reserved prefixes and the forms of a tag, with the one parser that everything else uses.

import { describe, invalid, string } from '../validate';

/** What a tag is about: computing, running software, the outside world, storage. */
export type TaxonomyAxis = 'hardware' | 'software' | 'devices' | 'dataforts';

/** The axes, in the order of their numbers on the wire. */
export const TAXONOMY_AXES: readonly TaxonomyAxis[] = Object.freeze([
  'hardware',
  'software',
  'devices',
  'dataforts',
] as const);

/** Prefixes of tags that the mesh itself writes; tried in this order. */
export const RESERVED_PREFIXES: readonly string[] = Object.freeze([
  'causal:',
  'fork-of:',
  'heat:',
  'scope:',
]);

/** An axis and a key on it, such as `hardware` and `gpu.vram_gb`. */
export interface TagKey {
  axis: TaxonomyAxis;
  key: string;
}

/** What stands between the key and the value of a tag. */
export type AxisSeparator = ':' | '=';

/** A tag that says only that something is there: `hardware.gpu`. */
export interface AxisPresentTag {
  kind: 'axisPresent';
  axis: TaxonomyAxis;
  key: string;
}

/** A tag with a value: `hardware.memory_gb=64`. */
export interface AxisValueTag {
  kind: 'axisValue';
  axis: TaxonomyAxis;
  key: string;
  value: string;
  separator: AxisSeparator;
}

/** A tag of the mesh's own: `scope:tenant:acme`. */
export interface ReservedTag {
  kind: 'reserved';
  prefix: string;
  body: string;
}

/** Any other tag, kept as it is: `my-team`. */
export interface LegacyTag {
  kind: 'legacy';
  raw: string;
}

/** A tag, taken apart. */
export type Tag = AxisPresentTag | AxisValueTag | ReservedTag | LegacyTag;

export function isAxis(name: unknown): name is TaxonomyAxis {
  return (TAXONOMY_AXES as readonly unknown[]).includes(name);
}

/**
 * A {@link TagKey}.
 *
 * @throws InvalidArgumentError when `key` is empty.
 */
export function tagKey(axis: TaxonomyAxis, key: string): TagKey {
  if (key === '') {
    throw invalid(`tagKey: key must be non-empty (axis=${string(axis, 'axis')})`);
  }
  return { axis, key: string(key, 'key') };
}

/**
 * The text of a tag; {@link tagFromString} gives the tag back.
 *
 * @throws InvalidArgumentError for anything but a tag.
 */
export function tagToString(tag: Tag): string {
  switch (tag?.kind) {
    case 'axisPresent':
      return `${tag.axis}.${tag.key}`;
    case 'axisValue':
      return `${tag.axis}.${tag.key}${tag.separator}${tag.value}`;
    case 'reserved':
      return tag.prefix + tag.body;
    case 'legacy':
      return tag.raw;
    default:
      throw invalid(`tagToString: tag must be a Tag; got ${describe(tag)}`);
  }
}

/** The reserved prefix that a text begins with, if any. */
export function startsWithReservedPrefix(s: string): string | undefined {
  const text = string(s, 'tag');
  return RESERVED_PREFIXES.find((prefix) => text.startsWith(prefix));
}

/** Where the key ends: at the first `=` or `:`; -1 when there is neither. */
function separatorIndex(body: string): number {
  const equals = body.indexOf('=');
  const colon = body.indexOf(':');
  if (equals < 0) return colon;
  return colon < 0 ? equals : Math.min(equals, colon);
}

/**
 * Takes apart what came over the wire: keys and values may be empty. Evaluation, diffs and placement
 * see tags this way, as the native side does. The text must not be empty.
 */
export function parseTag(s: string): Tag {
  const prefix = startsWithReservedPrefix(s);
  if (prefix !== undefined) return { kind: 'reserved', prefix, body: s.slice(prefix.length) };

  const dot = s.indexOf('.');
  const axis = s.slice(0, Math.max(dot, 0));
  if (!isAxis(axis)) return { kind: 'legacy', raw: s };
  const body = s.slice(dot + 1);
  const at = separatorIndex(body);
  if (at < 0) return { kind: 'axisPresent', axis, key: body };
  const separator: AxisSeparator = body[at] === '=' ? '=' : ':';
  return { kind: 'axisValue', axis, key: body.slice(0, at), value: body.slice(at + 1), separator };
}

/**
 * Takes any tag apart, the mesh's own included. A tag on an axis whose key or value is empty counts as
 * legacy.
 *
 * @throws InvalidArgumentError when `s` is empty.
 */
export function tagFromString(s: string): Tag {
  if (s === '') throw invalid('tagFromString: tag must be non-empty');
  const tag = parseTag(s);
  const hollow =
    (tag.kind === 'axisPresent' || tag.kind === 'axisValue') &&
    (tag.key === '' || (tag.kind === 'axisValue' && tag.value === ''));
  return hollow ? { kind: 'legacy', raw: s } : tag;
}

/**
 * {@link tagFromString} for what a user typed: the mesh's own prefixes are refused.
 *
 * @throws InvalidArgumentError when `s` is empty or begins with one of {@link RESERVED_PREFIXES}.
 */
export function tagFromUserString(s: string): Tag {
  if (s === '') throw invalid('tagFromUserString: tag must be non-empty');
  const prefix = startsWithReservedPrefix(s);
  if (prefix !== undefined) {
    throw invalid(
      `tag ${JSON.stringify(s)} starts with reserved prefix ${JSON.stringify(prefix)}; ` +
        'user code cannot emit reserved-prefix tags',
    );
  }
  return tagFromString(s);
}

/**
 * The same text for tags that mean the same: of tags with a value the separator does not count. No tag
 * has the text of one that means something else.
 */
export function meaningOf(s: string): string {
  const tag = parseTag(s);
  return tag.kind === 'axisValue' ? `${tag.axis}.${tag.key}=${tag.value}` : s;
}
