// Compares a capability set with a schema. It only reports: nothing is refused or changed.

import { describe, invalid } from '../validate';
import { checkCapabilities, type CapabilitySetWire } from './capability_set';
import {
  AXIS_SCHEMA,
  METADATA_SOFT_CAP_BYTES,
  type AxisEntry,
  type AxisSchema,
  type KeyEntry,
  type KeyShape,
  type ValueType,
} from './schema';
import {
  tagFromString,
  type AxisPresentTag,
  type AxisValueTag,
  type TaxonomyAxis,
} from './taxonomy';

/** A tag that other nodes would misread. */
export type SchemaError =
  /** Part of the documented type; an unknown axis makes a legacy tag, which is a warning. */
  | { kind: 'unknown_axis'; axis_prefix: string; tag: string }
  | { kind: 'type_mismatch'; axis: TaxonomyAxis; key: string; expected: ValueType; actual: string }
  | { kind: 'index_malformed'; axis: TaxonomyAxis; prefix: string; index: string; tag: string };

/** Something that may be meant so. */
export type ValidationWarning =
  | { kind: 'unknown_key'; axis: TaxonomyAxis; key: string }
  | { kind: 'metadata_oversize'; soft_cap_bytes: number; actual_bytes: number }
  | { kind: 'legacy_tag'; tag: string }
  | { kind: 'metadata_reserved_key'; key: string }
  | { kind: 'metadata_reserved_prefix'; key: string; prefix: string };

/** What {@link validateCapabilities} found, in the order of the input. */
export interface ValidationReport {
  errors: SchemaError[];
  warnings: ValidationWarning[];
}

type AxisTag = AxisPresentTag | AxisValueTag;

const U32_MAX = 0xffff_ffff;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** Digits without their leading zeros, if they stay below `limit` in length. */
function significantDigits(digits: string, limit: number): string | undefined {
  const significant = digits.replace(/^0+(?=.)/, '');
  return significant.length <= limit ? significant : undefined;
}

function isU64(text: string): boolean {
  if (!/^\+?[0-9]+$/.test(text)) return false;
  const digits = significantDigits(text.replace('+', ''), 20);
  return digits !== undefined && BigInt(digits) <= U64_MAX;
}

function isU32(text: string): boolean {
  if (!/^[0-9]+$/.test(text)) return false;
  const digits = significantDigits(text, 10);
  return digits !== undefined && Number(digits) <= U32_MAX;
}

function fits(type: ValueType, value: string): boolean {
  switch (type) {
    case 'presence':
      return false;
    case 'number':
      return isU64(value);
    case 'string':
    case 'enumeration':
    case 'csv':
      return value !== '';
    case 'bool':
      return value === 'true' || value === 'false';
  }
}

/** The error of a value that does not fit its entry. */
function mismatch(tag: AxisTag, { key, valueType }: KeyEntry): SchemaError[] {
  const value = tag.kind === 'axisValue' ? tag.value : undefined;
  const passes = value === undefined ? valueType === 'presence' : fits(valueType, value);
  if (passes) return [];
  const actual = value ?? '<no value>';
  return [{ kind: 'type_mismatch', axis: tag.axis, key, expected: valueType, actual }];
}

interface Findings {
  errors: SchemaError[];
  warnings: ValidationWarning[];
}

const CLEAN: Findings = { errors: [], warnings: [] };

function unknownKey({ axis, key }: AxisTag): Findings {
  return { errors: [], warnings: [{ kind: 'unknown_key', axis, key }] };
}

/** What a shape has to say about a tag under its prefix; undefined when it is not the tag's shape. */
function checkShape(tag: AxisTag, text: string, shape: KeyShape): Findings | undefined {
  const { prefix, subKeys } = shape;
  const rest = tag.key.slice(prefix.length);
  if (shape.shape.kind === 'keyedMap') {
    if (rest === '') return undefined;
    const entry = { key: prefix, valueType: shape.shape.valueType };
    return { errors: mismatch(tag, entry), warnings: [] };
  }
  const dot = rest.indexOf('.');
  if (dot < 0) return undefined;
  const index = rest.slice(0, dot);
  if (!isU32(index)) {
    const { axis } = tag;
    return { errors: [{ kind: 'index_malformed', axis, prefix, index, tag: text }], warnings: [] };
  }
  const entry = subKeys.find(({ key }) => key === rest.slice(dot + 1));
  return entry === undefined ? unknownKey(tag) : { errors: mismatch(tag, entry), warnings: [] };
}

function checkAxisTag(tag: AxisTag, text: string, axis: AxisEntry): Findings {
  const fixed = axis.keys.find(({ key }) => key === tag.key);
  if (fixed !== undefined) return { errors: mismatch(tag, fixed), warnings: [] };
  for (const shape of axis.shapes) {
    const findings = tag.key.startsWith(shape.prefix) ? checkShape(tag, text, shape) : undefined;
    if (findings !== undefined) return findings;
  }
  return unknownKey(tag);
}

function checkTag(text: string, schema: AxisSchema): Findings {
  const tag = tagFromString(text);
  switch (tag.kind) {
    case 'reserved':
      return CLEAN;
    case 'legacy':
      return { errors: [], warnings: [{ kind: 'legacy_tag', tag: text }] };
    case 'axisPresent':
    case 'axisValue':
      return checkAxisTag(tag, text, schema[tag.axis]);
  }
}

function metadataWarnings(
  metadata: Readonly<Record<string, string>>,
  schema: AxisSchema,
): ValidationWarning[] {
  const warnings: ValidationWarning[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata)) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    const prefix = schema.metadataReservedPrefixes.find((each) => key.startsWith(each));
    if (schema.metadataReserved.includes(key))
      warnings.push({ kind: 'metadata_reserved_key', key });
    else if (prefix !== undefined) {
      warnings.push({ kind: 'metadata_reserved_prefix', key, prefix });
    }
  }
  if (bytes > METADATA_SOFT_CAP_BYTES) {
    warnings.push({
      kind: 'metadata_oversize',
      soft_cap_bytes: METADATA_SOFT_CAP_BYTES,
      actual_bytes: bytes,
    });
  }
  return warnings;
}

/**
 * Compares a set with a schema: types of values, indices of collections, keys that nobody knows, metadata
 * with a meaning of its own, and its size in UTF-8 bytes. Advisory: nothing else calls it.
 *
 * @throws InvalidArgumentError for an empty tag, or a set that is none.
 */
export function validateCapabilities(
  caps: CapabilitySetWire,
  schema: AxisSchema = AXIS_SCHEMA,
): ValidationReport {
  checkCapabilities(caps, 'caps');
  const report: ValidationReport = { errors: [], warnings: [] };
  for (const tag of caps.tags) {
    const { errors, warnings } = checkTag(tag, schema);
    report.errors.push(...errors);
    report.warnings.push(...warnings);
  }
  report.warnings.push(...metadataWarnings(caps.metadata, schema));
  return report;
}

function checkReport(r: ValidationReport): void {
  if (!Array.isArray(r?.errors) || !Array.isArray(r.warnings)) {
    throw invalid(`report must be { errors, warnings }; got ${describe(r)}`);
  }
}

/** There is neither an error nor a warning. */
export function isReportClean(r: ValidationReport): boolean {
  checkReport(r);
  return r.errors.length === 0 && r.warnings.length === 0;
}

/** There is no error. */
export function isReportValid(r: ValidationReport): boolean {
  checkReport(r);
  return r.errors.length === 0;
}
