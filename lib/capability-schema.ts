/**
 * The schema of capability tags and the check against it. Pure TypeScript.
 *
 * @packageDocumentation
 */

export {
  AXIS_SCHEMA,
  METADATA_RESERVED_KEYS,
  METADATA_RESERVED_PREFIXES,
  METADATA_SOFT_CAP_BYTES,
} from './internal/capability/schema';
export type {
  AxisEntry,
  AxisSchema,
  KeyEntry,
  KeyShape,
  KeyShapeKind,
  ValueType,
} from './internal/capability/schema';
export {
  isReportClean,
  isReportValid,
  validateCapabilities,
} from './internal/capability/validation';
export type {
  SchemaError,
  ValidationReport,
  ValidationWarning,
} from './internal/capability/validation';
