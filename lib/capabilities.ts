/**
 * What nodes can do, and how to ask for it: the types of announcements and queries.
 *
 * @packageDocumentation
 */

import { CapabilityError } from './core/errors';
import * as check from './internal/capability_checks';
import type { CapabilitySetWire } from './internal/capability/capability_set';
import { addon } from './internal/native';
import { calling } from './internal/native_errors';

export { CapabilityError } from './core/errors';

/** Vendors of GPUs; other words count as `unknown`. */
export type GpuVendor = 'nvidia' | 'amd' | 'intel' | 'apple' | 'qualcomm' | 'unknown';

/** One GPU. */
export interface GpuInfo {
  vendor?: GpuVendor;
  model: string;
  vramGb: number;
  /** Above 65535 counts as 65535; {@link GpuInfo.tensorCores}, too. */
  computeUnits?: number;
  tensorCores?: number;
  /** Tenths of a teraflop at 16 bits. */
  fp16TflopsX10?: number;
}

/** Kinds of accelerators that are no GPUs. */
export type AcceleratorKind = 'tpu' | 'npu' | 'fpga' | 'asic' | 'dsp' | 'unknown';

/** An accelerator. The protocol does not carry it: only this node sees it. */
export interface Accelerator {
  kind: AcceleratorKind;
  model: string;
  memoryGb?: number;
  topsX10?: number;
}

/** A machine. */
export interface Hardware {
  cpuCores?: number;
  /** Default: `cpuCores`, without which it says nothing. */
  cpuThreads?: number;
  memoryGb?: number;
  gpu?: GpuInfo;
  /** The protocol does not carry them. */
  additionalGpus?: GpuInfo[];
  storageGb?: bigint;
  networkGbps?: number;
  accelerators?: Accelerator[];
}

/** A name and its version. A name with `=`, `:` or `.` cannot be announced and is left out. */
export type SoftwarePair = [string, string];

/** What is installed. */
export interface Software {
  os?: string;
  osVersion?: string;
  runtimes?: SoftwarePair[];
  frameworks?: SoftwarePair[];
  cudaVersion?: string;
  drivers?: SoftwarePair[];
}

/** What a model takes and gives. */
export type Modality = 'text' | 'image' | 'audio' | 'video' | 'code' | 'embedding' | 'tool-use';

/** A model that a node serves. */
export interface ModelCapability {
  modelId: string;
  family?: string;
  /** Tenths of a billion parameters. */
  parametersBX10?: number;
  contextLength?: number;
  quantization?: string;
  /** `text` is always one of them. */
  modalities?: Modality[];
  tokensPerSec?: number;
  loaded?: boolean;
}

/** A tool that a node serves. */
export interface ToolCapability {
  toolId: string;
  name?: string;
  /** Default: `1.0.0`. */
  version?: string;
  inputSchema?: string;
  outputSchema?: string;
  requires?: string[];
  estimatedTimeMs?: number;
  /** Default: true. */
  stateless?: boolean;
}

/** What a node takes at most. */
export interface CapabilityLimits {
  maxConcurrentRequests?: number;
  maxTokensPerRequest?: number;
  rateLimitRpm?: number;
  maxBatchSize?: number;
  maxInputBytes?: number;
  maxOutputBytes?: number;
}

/** All that a node says of itself. */
export interface CapabilitySet {
  hardware?: Hardware;
  software?: Software;
  models?: ModelCapability[];
  tools?: ToolCapability[];
  tags?: string[];
  limits?: CapabilityLimits;
  /**
   * Free text by key. Receivers drop the keys `intent`, `colocate-with`, `colocate-with-strict`,
   * `priority`, `owner` and those that start with `tool::`.
   */
  metadata?: Record<string, string>;
}

/** Conditions on a node; all that are given must hold. */
export interface CapabilityFilter {
  /** Every one, letter by letter. */
  requireTags?: string[];
  /** At least one. */
  requireModels?: string[];
  /** At least one. */
  requireTools?: string[];
  minMemoryGb?: number;
  /** MiB: 64 GB are 65536. */
  minMemoryMb?: number;
  requireGpu?: boolean;
  gpuVendor?: GpuVendor;
  minVramGb?: number;
  /** MiB. */
  minVramMb?: number;
  minContextLength?: number;
  requireModalities?: Modality[];
}

/** Which nodes are asked, by the `scope:*` tags that they announce. */
export type ScopeFilter =
  | { kind: 'any' }
  | { kind: 'globalOnly' }
  | { kind: 'sameSubnet' }
  | { kind: 'tenant'; tenant: string }
  | { kind: 'tenants'; tenants: string[] }
  | { kind: 'region'; region: string }
  | { kind: 'regions'; regions: string[] };

/** A filter with wishes; the weights are clamped to 0…1. */
export interface CapabilityRequirement {
  filter: CapabilityFilter;
  preferMoreMemory?: number;
  preferMoreVram?: number;
  preferFasterInference?: number;
  preferLoadedModels?: number;
}

/** Chooses nodes, one of whose tags fits. */
export type TagMatcher =
  | { kind: 'exact'; value: string }
  | { kind: 'prefix'; value: string }
  | { kind: 'axis'; axis: string }
  | { kind: 'axisKey'; axis: string; key: string }
  /** Found anywhere in the tag; a bad pattern, or one above 256 bytes, fits nothing. */
  | { kind: 'regex'; pattern: string }
  /** `axis.key` with a full semantic version between bounds, both included. */
  | { kind: 'versionRange'; axisKey: string; min?: string; max?: string };

/** What nodes are grouped by. */
export type GroupBy =
  | { kind: 'class' }
  | { kind: 'state' }
  | { kind: 'region' }
  | { kind: 'publisher' }
  | { kind: 'tagStem'; prefix: string }
  | { kind: 'tagValue'; axis: string; key: string };

/** What is computed of each group. */
export type Aggregation =
  | { kind: 'count' }
  | { kind: 'distinctPublishers' }
  | { kind: 'distinctValues'; axis: string; key: string }
  | { kind: 'sumNumericTag'; axisKey: string }
  | { kind: 'minNumericTag'; axisKey: string }
  | { kind: 'maxNumericTag'; axisKey: string };

/** A group and its number. */
export interface AggregateRow {
  bucket: string;
  value: bigint;
}

/** Ranks groups by how much of them is available. */
export interface CapacityQuery {
  matcher?: TagMatcher;
  groupBy: GroupBy;
  /** Leaves out nodes that are farther away, or whose distance is not known. */
  maxRttMs?: number;
  /** `axis.key` of the tag to add up. */
  sumAxisKey?: string;
  /** 0: all. */
  limit: number;
}

/** A group in a capacity ranking. */
export interface CapacityRow {
  bucket: string;
  idle: bigint;
  busy: bigint;
  reserved: bigint;
  available: bigint;
  /** Only with a well-formed `sumAxisKey`. */
  summedCapacity?: bigint;
}

/** Before a tenant's id. */
export const SCOPE_TENANT_PREFIX = 'scope:tenant:';
/** Before a region's name. */
export const SCOPE_REGION_PREFIX = 'scope:region:';
/** For nodes that only their own subnet is to find. */
export const SCOPE_SUBNET_LOCAL = 'scope:subnet-local';

function withTag(tags: string[] | undefined, prefix: string, name?: string): string[] {
  check.list(tags, 'tags', check.string);
  const present = tags ?? [];
  const tag = name === undefined ? prefix : prefix + name;
  return name === '' || present.includes(tag) ? present : [...present, tag];
}

/** The tags and one for this tenant; the same array when there is nothing to add. */
export function withTenantScope(tags: string[] | undefined, tenantId: string): string[] {
  return withTag(tags, SCOPE_TENANT_PREFIX, check.string(tenantId, 'tenantId'));
}

/** The tags and one for this region; the same array when there is nothing to add. */
export function withRegionScope(tags: string[] | undefined, region: string): string[] {
  return withTag(tags, SCOPE_REGION_PREFIX, check.string(region, 'region'));
}

/** The tags and the one for the own subnet; the same array when there is nothing to add. */
export function withSubnetLocalScope(tags: string[] | undefined): string[] {
  return withTag(tags, SCOPE_SUBNET_LOCAL);
}

// --- for the addon ---

/** A capability set as the addon takes it. */
export interface NapiCapabilitySet extends Omit<CapabilitySet, 'hardware'> {
  hardware?: Omit<Hardware, 'additionalGpus' | 'accelerators'>;
}

/** A filter as the addon takes it. */
export type NapiCapabilityFilter = CapabilityFilter;

/** A scope as the addon takes it. */
export interface NapiScopeFilter {
  kind: string;
  tenant?: string;
  tenants?: string[];
  region?: string;
  regions?: string[];
}

const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** A size that does not fit counts as not given. */
function storage(value: unknown, name: string): bigint | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'bigint') throw check.refuse(name, 'a bigint', value);
  return value < 0n || value > U64_MAX ? undefined : value;
}

function gpu(value: unknown, name: string): GpuInfo {
  const { text, u32, u16, word } = check.fields(value, name);
  return check.compact({
    vendor: word('vendor') as GpuVendor | undefined,
    model: text('model'),
    vramGb: check.required(u32('vramGb'), `${name}.vramGb`),
    computeUnits: u16('computeUnits'),
    tensorCores: u16('tensorCores'),
    fp16TflopsX10: u32('fp16TflopsX10'),
  });
}

function accelerator(value: unknown, name: string): void {
  const { text, u32, u16 } = check.fields(value, name);
  text('kind');
  text('model');
  u32('memoryGb');
  u16('topsX10');
}

function hardware(value: unknown, name: string): NapiCapabilitySet['hardware'] {
  const { u16, u32, raw } = check.fields(value, name);
  check.list(raw('additionalGpus'), `${name}.additionalGpus`, gpu);
  check.list(raw('accelerators'), `${name}.accelerators`, accelerator);
  return check.compact({
    cpuCores: u16('cpuCores'),
    cpuThreads: u16('cpuThreads'),
    memoryGb: u32('memoryGb'),
    gpu: check.maybe(raw('gpu'), `${name}.gpu`, gpu),
    storageGb: storage(raw('storageGb'), `${name}.storageGb`),
    networkGbps: u32('networkGbps'),
  });
}

/** Pairs with fewer than two strings are passed over. */
function pairs(value: unknown, name: string): SoftwarePair[] | undefined {
  return check
    .list(value, name, (pair, at) => check.list(pair, at, check.string) ?? [])
    ?.filter((pair): pair is SoftwarePair => pair.length >= 2);
}

function software(value: unknown, name: string): Software {
  const { word, raw } = check.fields(value, name);
  return check.compact({
    os: word('os'),
    osVersion: word('osVersion'),
    runtimes: pairs(raw('runtimes'), `${name}.runtimes`),
    frameworks: pairs(raw('frameworks'), `${name}.frameworks`),
    cudaVersion: word('cudaVersion'),
    drivers: pairs(raw('drivers'), `${name}.drivers`),
  });
}

function model(value: unknown, name: string): ModelCapability {
  const { text, word, u32, flag, words } = check.fields(value, name);
  return check.compact({
    modelId: text('modelId'),
    family: word('family'),
    parametersBX10: u32('parametersBX10'),
    contextLength: u32('contextLength'),
    quantization: word('quantization'),
    modalities: words('modalities') as Modality[] | undefined,
    tokensPerSec: u32('tokensPerSec'),
    loaded: flag('loaded'),
  });
}

function tool(value: unknown, name: string): ToolCapability {
  const { text, word, u32, flag, words } = check.fields(value, name);
  return check.compact({
    toolId: text('toolId'),
    name: word('name'),
    version: word('version'),
    inputSchema: word('inputSchema'),
    outputSchema: word('outputSchema'),
    requires: words('requires'),
    estimatedTimeMs: u32('estimatedTimeMs'),
    stateless: flag('stateless'),
  });
}

const LIMITS = [
  'maxConcurrentRequests',
  'maxTokensPerRequest',
  'rateLimitRpm',
  'maxBatchSize',
  'maxInputBytes',
  'maxOutputBytes',
] as const;

function limits(value: unknown, name: string): CapabilityLimits {
  const { u32 } = check.fields(value, name);
  return check.compact(Object.fromEntries(LIMITS.map((limit) => [limit, u32(limit)])));
}

function metadata(value: unknown, name: string): Record<string, string> {
  const { object } = check.fields(value, name);
  return Object.fromEntries(
    Object.entries(object).map(([key, each]) => [key, check.string(each, `${name}.${key}`)]),
  );
}

/**
 * A capability set as the addon takes it: only known fields, checked.
 *
 * @throws {@link CapabilityError} that names the field which is wrong.
 */
export function capabilitySetToNapi(set: CapabilitySet): NapiCapabilitySet {
  const { raw, words } = check.fields(set, 'capabilities');
  return check.compact({
    hardware: check.maybe(raw('hardware'), 'hardware', hardware),
    software: check.maybe(raw('software'), 'software', software),
    models: check.list(raw('models'), 'models', model),
    tools: check.list(raw('tools'), 'tools', tool),
    tags: words('tags'),
    limits: check.maybe(raw('limits'), 'limits', limits),
    metadata: check.maybe(raw('metadata'), 'metadata', metadata),
  });
}

/**
 * The tags and metadata that a set is announced as, without those that a node adds itself. The way
 * back is {@link capabilitySetFromWire}.
 *
 * @throws {@link CapabilityError} that names the field which is wrong.
 */
export function capabilitySetToWire(set: CapabilitySet): CapabilitySetWire {
  return calling(() => addon().encodeCapabilitySet(capabilitySetToNapi(set)));
}

/**
 * What tags and metadata say, in fields. Tags that no field holds letter by letter, such as
 * `hardware.memory_gb:64` or keys that are not documented, are in `tags`; so
 * {@link capabilitySetToWire} of the result has every tag that `wire` has.
 *
 * @throws {@link CapabilityError} for what is no set.
 */
export function capabilitySetFromWire(wire: CapabilitySetWire): CapabilitySet {
  const { raw, words } = check.fields(wire, 'capabilities');
  const tags = words('tags') ?? [];
  const texts = check.maybe(raw('metadata'), 'metadata', metadata) ?? {};
  return calling(() => addon().decodeCapabilitySet(tags, texts) as CapabilitySet);
}

/**
 * A filter as the addon takes it, checked.
 *
 * @throws {@link CapabilityError} that names the field which is wrong.
 */
export function capabilityFilterToNapi(filter: CapabilityFilter): NapiCapabilityFilter {
  const { word, words, u32, flag } = check.fields(filter, 'filter');
  return check.compact({
    requireTags: words('requireTags'),
    requireModels: words('requireModels'),
    requireTools: words('requireTools'),
    minMemoryGb: u32('minMemoryGb'),
    minMemoryMb: u32('minMemoryMb'),
    requireGpu: flag('requireGpu'),
    gpuVendor: word('gpuVendor') as GpuVendor | undefined,
    minVramGb: u32('minVramGb'),
    minVramMb: u32('minVramMb'),
    minContextLength: u32('minContextLength'),
    requireModalities: words('requireModalities') as Modality[] | undefined,
  });
}

/**
 * A scope as the addon takes it. Unknown kinds, and tenants or regions without a name that is not
 * empty, mean `any`.
 */
export function scopeFilterToNapi(scope: ScopeFilter): NapiScopeFilter {
  const any = { kind: 'any' };
  const given = Object(scope) as Record<string, unknown>;
  const named = (key: string): string[] => {
    const value = given[key];
    const names: unknown[] = Array.isArray(value) ? value : [value];
    return names.filter((name): name is string => typeof name === 'string' && name !== '');
  };
  switch (given.kind) {
    case 'globalOnly':
    case 'sameSubnet':
      return { kind: given.kind };
    case 'tenant':
    case 'region': {
      const [name] = Array.isArray(given[given.kind]) ? [] : named(given.kind);
      return name === undefined ? any : { kind: given.kind, [given.kind]: name };
    }
    case 'tenants':
    case 'regions': {
      const names = Array.isArray(given[given.kind]) ? named(given.kind) : [];
      return names.length === 0 ? any : { kind: given.kind, [given.kind]: names };
    }
    default:
      return any;
  }
}

const WEIGHTS = [
  'preferMoreMemory',
  'preferMoreVram',
  'preferFasterInference',
  'preferLoadedModels',
] as const;

/**
 * A requirement as the addon takes it, checked.
 *
 * @throws {@link CapabilityError} for a malformed filter or a weight that is no finite number.
 */
export function capabilityRequirementToNapi(
  requirement: CapabilityRequirement,
): CapabilityRequirement {
  const { raw } = check.fields(requirement, 'requirement');
  const weights = WEIGHTS.map((name) => {
    const weight = raw(name);
    if (weight !== undefined && !Number.isFinite(weight)) {
      throw new CapabilityError(
        `capability requirement weight '${name}' must be a finite number, got ${check.show(weight)}`,
      );
    }
    return [name, weight] as const;
  });
  return check.compact({
    filter: capabilityFilterToNapi((raw('filter') ?? {}) as CapabilityFilter),
    ...Object.fromEntries(weights),
  });
}
