// Which keys exist on which axis, and what their values look like.

import type { TaxonomyAxis } from './taxonomy';

/** What the value of a tag has to be. `presence`: there must be none. */
export type ValueType = 'presence' | 'number' | 'string' | 'enumeration' | 'bool' | 'csv';

/** A key and the type of its value. */
export interface KeyEntry {
  key: string;
  valueType: ValueType;
}

/** `model.<i>.<sub-key>`, or `runtime.<name>` with values of one type. */
export type KeyShapeKind =
  { kind: 'indexedCollection' } | { kind: 'keyedMap'; valueType: ValueType };

/** A family of keys under one prefix, which includes its last dot. */
export interface KeyShape {
  prefix: string;
  shape: KeyShapeKind;
  subKeys: KeyEntry[];
}

/** The keys of one axis. */
export interface AxisEntry {
  keys: KeyEntry[];
  shapes: KeyShape[];
}

/** Everything that {@link validateCapabilities} compares with. */
export interface AxisSchema extends Record<TaxonomyAxis, AxisEntry> {
  hardware: AxisEntry;
  software: AxisEntry;
  devices: AxisEntry;
  dataforts: AxisEntry;
  metadataReserved: string[];
  metadataReservedPrefixes: string[];
}

/** Metadata keys with a meaning in the mesh. */
export const METADATA_RESERVED_KEYS: string[] = [
  'intent',
  'colocate-with',
  'colocate-with-strict',
  'priority',
  'owner',
];

/** Prefixes of metadata keys that the mesh writes itself. */
export const METADATA_RESERVED_PREFIXES: string[] = ['tool::'];

/** Metadata above this many bytes draws a warning. */
export const METADATA_SOFT_CAP_BYTES = 4096;

function entries(valueType: ValueType, ...keys: string[]): KeyEntry[] {
  return keys.map((key) => ({ key, valueType }));
}

function keyedMap(prefix: string): KeyShape {
  return { prefix, shape: { kind: 'keyedMap', valueType: 'string' }, subKeys: [] };
}

function indexedCollection(prefix: string, subKeys: KeyEntry[]): KeyShape {
  return { prefix, shape: { kind: 'indexedCollection' }, subKeys };
}

/** The schema of net-mesh 0.19. */
export const AXIS_SCHEMA: AxisSchema = {
  hardware: {
    keys: [
      ...entries('number', 'cpu_cores', 'cpu_threads', 'memory_gb'),
      ...entries('presence', 'gpu'),
      ...entries('enumeration', 'gpu.vendor'),
      ...entries('string', 'gpu.model'),
      ...entries('number', 'gpu.vram_gb', 'gpu.compute_units', 'gpu.tensor_cores'),
      ...entries('number', 'gpu.fp16_tflops_x10', 'storage_gb', 'network_gbps'),
      ...entries('number', 'limits.max_concurrent_requests', 'limits.max_tokens_per_request'),
      ...entries('number', 'limits.rate_limit_rpm', 'limits.max_batch_size'),
      ...entries('number', 'limits.max_input_bytes', 'limits.max_output_bytes'),
    ],
    shapes: [],
  },
  software: {
    keys: entries('string', 'os', 'os_version', 'cuda_version'),
    shapes: [
      keyedMap('runtime.'),
      keyedMap('framework.'),
      keyedMap('driver.'),
      indexedCollection('model.', [
        ...entries('string', 'id', 'family'),
        ...entries('number', 'parameters_b_x10', 'context_length'),
        ...entries('string', 'quantization'),
        ...entries('csv', 'modalities'),
        ...entries('number', 'tokens_per_sec'),
        ...entries('bool', 'loaded'),
      ]),
      indexedCollection('tool.', [
        ...entries('string', 'tool_id', 'name', 'version'),
        ...entries('csv', 'requires'),
        ...entries('number', 'estimated_time_ms'),
        ...entries('bool', 'stateless'),
      ]),
    ],
  },
  devices: { keys: [], shapes: [] },
  dataforts: { keys: [], shapes: [] },
  metadataReserved: METADATA_RESERVED_KEYS,
  metadataReservedPrefixes: METADATA_RESERVED_PREFIXES,
};
