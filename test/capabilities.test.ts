import { createHash } from 'node:crypto';

import fc from 'fast-check';
import {
  CapabilityError,
  type CapabilityFilter,
  type CapabilityRequirement,
  type CapabilitySet,
  Identity,
  type Modality,
  SCOPE_REGION_PREFIX,
  SCOPE_SUBNET_LOCAL,
  SCOPE_TENANT_PREFIX,
  type ScopeFilter,
  withRegionScope,
  withSubnetLocalScope,
  withTenantScope,
} from 'netmesh';
import {
  capabilityFilterToNapi,
  capabilityRequirementToNapi,
  capabilitySetFromWire,
  capabilitySetToNapi,
  capabilitySetToWire,
  scopeFilterToNapi,
} from 'netmesh/capabilities';
import { normalizeGpuVendor } from 'netmesh/core';
import { addon } from '../lib/internal/native';
import { classify } from '../lib/internal/native_errors';
import { capabilitySets } from './support/capability_arbitraries';

function encode(set: CapabilitySet): { tags: string[]; metadata: Record<string, string> } {
  return addon().encodeCapabilitySet(capabilitySetToNapi(set));
}

/** An index of the addon, asked as `MeshNode` asks it. */
function indexOf(nodes: Record<number, CapabilitySet>) {
  const native = addon();
  const index = new native.NativeCapabilityIndex();
  for (const [id, set] of Object.entries(nodes)) index.upsert(BigInt(id), capabilitySetToNapi(set));
  return {
    find: (filter: CapabilityFilter) => [...index.findNodes(capabilityFilterToNapi(filter))],
    findScoped: (filter: CapabilityFilter, scope: ScopeFilter) => [
      ...index.findNodesScoped(capabilityFilterToNapi(filter), scopeFilterToNapi(scope)),
    ],
    best: (requirement: CapabilityRequirement, scope?: ScopeFilter) =>
      index.findBestNode(
        capabilityRequirementToNapi(requirement),
        scope && scopeFilterToNapi(scope),
      ),
    index,
  };
}

test('a capability set has the tags of the specification', () => {
  const { tags, metadata } = encode({
    hardware: {
      cpuCores: 16,
      memoryGb: 64,
      gpu: { vendor: 'nvidia', model: 'h100', vramGb: 80, computeUnits: 70_000 },
      storageGb: 2n ** 40n,
    },
    software: { os: 'linux', runtimes: [['node', '20'], ['a.b', '1'], ['x'] as never] },
    models: [{ modelId: 'm', modalities: ['code', 'tool-use', 'code'], loaded: true }],
    tools: [{ toolId: 't', inputSchema: '{}' }],
    tags: ['gpu', '', 'hardware.limits.max_batch_size=9'],
    limits: { rateLimitRpm: 60 },
    metadata: { note: 'x' },
  });
  expect(tags).toEqual(
    [
      'gpu',
      'hardware.cpu_cores=16',
      'hardware.cpu_threads=16',
      'hardware.gpu',
      'hardware.gpu.compute_units=65535',
      'hardware.gpu.model=h100',
      'hardware.gpu.vendor=nvidia',
      'hardware.gpu.vram_gb=80',
      'hardware.limits.rate_limit_rpm=60',
      'hardware.memory_gb=64',
      'hardware.storage_gb=1099511627776',
      'software.model.0.id=m',
      'software.model.0.loaded=true',
      'software.model.0.modalities=text,code,tool_use',
      'software.os=linux',
      'software.runtime.node=20',
      'software.tool.0.stateless=true',
      'software.tool.0.tool_id=t',
      'software.tool.0.version=1.0.0',
    ].sort(),
  );
  expect(metadata).toEqual({ 'tool::t::input_schema': '{}', note: 'x' });
});

test('the announcement of the specification is the text that its origin signs', () => {
  const identity = Identity.fromSeed(Buffer.alloc(32, 0x42));
  const capabilities = encode({ hardware: { cpuCores: 16 }, tags: ['gpu', 'nat:unknown'] });
  const text =
    `{"node_id":${identity.nodeId},"entity_id":"${identity.entityId.toString('hex')}",` +
    '"version":1,"timestamp_ns":1700000000000000000,"ttl_secs":300,' +
    `"capabilities":${JSON.stringify(capabilities)}}`;
  expect(text).toHaveLength(283);
  expect(createHash('sha256').update(text).digest('hex')).toBe(
    '655fe208e935d404ffbda604a6e07521cb50fc34803b05f06283a282b4f13b83',
  );
  expect(identity.sign(Buffer.from(text)).toString('hex')).toBe(
    '0fd1043bc39123f3b8292ce17437409de02fa78e7e7975caae4d2d3ce9e2d739' +
      '8b914e0fe775d009e958e9033db765d096466abc4160ba35fb889ef88af52207',
  );
});

describe('a set read back from its tags', () => {
  const full: CapabilitySet = {
    hardware: {
      cpuCores: 16,
      cpuThreads: 32,
      memoryGb: 64,
      gpu: {
        vendor: 'nvidia',
        model: 'h100',
        vramGb: 80,
        computeUnits: 132,
        tensorCores: 528,
        fp16TflopsX10: 9890,
      },
      storageGb: 2n ** 60n,
      networkGbps: 100,
    },
    software: {
      os: 'linux',
      osVersion: '6.1',
      runtimes: [['node', '20.1']],
      frameworks: [['torch', '2.3']],
      cudaVersion: '12.4',
      drivers: [['nvidia', '550']],
    },
    models: [
      {
        modelId: 'llama',
        family: 'llama3',
        parametersBX10: 700,
        contextLength: 128_000,
        quantization: 'q4',
        modalities: ['text', 'image', 'tool-use'],
        tokensPerSec: 50,
        loaded: true,
      },
    ],
    tools: [
      {
        toolId: 'search',
        name: 'Search',
        version: '2.0.0',
        inputSchema: '{"a":1}',
        outputSchema: '{}',
        requires: ['gpu', 'net'],
        estimatedTimeMs: 20,
        stateless: false,
      },
    ],
    tags: ['prod', 'scope:tenant:a'],
    limits: {
      maxConcurrentRequests: 1,
      maxTokensPerRequest: 2,
      rateLimitRpm: 3,
      maxBatchSize: 4,
      maxInputBytes: 5,
      maxOutputBytes: 6,
    },
    metadata: { owner: 'me', ['__proto__']: 'x' },
  };

  test('has every field that it was announced with', () => {
    const wire = capabilitySetToWire(full);
    expect(wire).toEqual(encode(full));
    expect(capabilitySetFromWire(wire)).toEqual(full);
    expect(capabilitySetFromWire({ tags: [], metadata: {} })).toEqual({});
  });

  test('keeps as tags what no field holds', () => {
    const tags = ['hardware.gpu', 'hardware.gpu.color=red', 'hardware.memory_gb:64', 'x'];
    expect(capabilitySetFromWire({ tags, metadata: {} })).toEqual({
      hardware: { memoryGb: 64, gpu: { vendor: 'unknown', model: '', vramGb: 0 } },
      tags: ['hardware.gpu.color=red', 'hardware.memory_gb:64', 'x'],
    });
    // Limits as fields would replace the one that no field holds.
    const limits = ['hardware.limits.max_batch_size=9', 'hardware.limits.odd=1'];
    expect(capabilitySetFromWire({ tags: limits, metadata: {} })).toEqual({ tags: limits });
  });

  test('loses nothing, whatever was said', () => {
    const odd = fc.constantFrom(
      ...['hardware.cpu_threads=4', 'hardware.limits.max_batch_size=0', 'hardware.limits.x:1'],
      ...['software.model.5.id=m', 'software.model.0.modalities=image', 'software.tool.1.name=n'],
      ...['hardware.limits.rate_limit_rpm=60', 'software.cuda_version=', 'hardware.gpu.vram_gb=7'],
      ...['software.runtime.a.b=1', 'hardware.storage_gb=18446744073709551615'],
    );
    fc.assert(
      fc.property(capabilitySets, fc.array(odd, { maxLength: 6 }), (set, more) => {
        const tags = [...set.tags, ...more].filter((tag) => tag !== '');
        const again = capabilitySetToWire(capabilitySetFromWire({ tags, metadata: set.metadata }));
        expect(again.tags).toEqual(expect.arrayContaining(tags));
        expect(again.metadata).toEqual(set.metadata);
      }),
      { numRuns: 300 },
    );
  });

  test.each([undefined, null, 5, { tags: 5 }, { tags: [5] }, { tags: [], metadata: { a: 1 } }])(
    'is not made of %p',
    (wire) => {
      expect(() => capabilitySetFromWire(wire as never)).toThrow(CapabilityError);
    },
  );
});

test('what has no place on the wire is left out, not refused', () => {
  expect(encode({})).toEqual({ tags: [], metadata: {} });
  const { tags } = encode({
    hardware: {
      cpuThreads: 8,
      storageGb: -1n,
      additionalGpus: [{ model: 'x', vramGb: 1 }],
      accelerators: [{ kind: 'tpu', model: 'v5' }],
    },
  });
  expect(tags).toEqual([]);
});

test('tags are sorted by their bytes and kept as they are', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 });
  fc.assert(
    fc.property(fc.array(text), (tags) => {
      const expected = [...new Set(tags.filter((tag) => tag !== ''))];
      expected.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(encode({ tags }).tags).toEqual(expected);
    }),
  );
});

test.each([
  [{ hardware: 5 }, 'capability: hardware must be an object, got 5'],
  [
    { hardware: { memoryGb: NaN } },
    'capability: hardware.memoryGb must be an integer in [0, 4294967295], got NaN',
  ],
  [
    { hardware: { memoryGb: -1 } },
    'capability: hardware.memoryGb must be an integer in [0, 4294967295], got -1',
  ],
  [{ hardware: { storageGb: 5 } }, 'capability: hardware.storageGb must be a bigint, got 5'],
  [{ hardware: { gpu: { vramGb: 1 } } }, 'capability: missing field hardware.gpu.model'],
  [{ hardware: { gpu: { model: 'x' } } }, 'capability: missing field hardware.gpu.vramGb'],
  [
    { hardware: { additionalGpus: [{}] } },
    'capability: missing field hardware.additionalGpus[0].model',
  ],
  [{ models: [{}] }, 'capability: missing field models[0].modelId'],
  [{ models: [{ modelId: 5 }] }, 'capability: models[0].modelId must be a string, got 5'],
  [{ tools: {} }, 'capability: tools must be an array, got an object'],
  [
    { tools: [{ toolId: 't', stateless: 1 }] },
    'capability: tools[0].stateless must be a boolean, got 1',
  ],
  [{ tags: 'gpu' }, 'capability: tags must be an array, got "gpu"'],
  [{ tags: [5] }, 'capability: tags[0] must be a string, got 5'],
  [{ metadata: { a: 5 } }, 'capability: metadata.a must be a string, got 5'],
  [null, 'capability: capabilities must be an object, got null'],
])('the set %p is refused', (set, message) => {
  const attempt = () => capabilitySetToNapi(set as CapabilitySet);
  expect(attempt).toThrow(CapabilityError);
  expect(attempt).toThrow(message);
});

test('a set that contains itself does no harm', () => {
  const cyclic: { tags: string[]; self?: unknown } = { tags: ['a'] };
  cyclic.self = cyclic;
  expect(encode(cyclic).tags).toEqual(['a']);
});

test.each([
  [
    { minMemoryMb: '5' },
    'capability: filter.minMemoryMb must be an integer in [0, 4294967295], got "5"',
  ],
  [{ requireTags: 'x' }, 'capability: filter.requireTags must be an array, got "x"'],
  [{ requireGpu: 1 }, 'capability: filter.requireGpu must be a boolean, got 1'],
  [undefined, 'capability: filter must be an object, got undefined'],
])('the filter %p is refused', (filter, message) => {
  expect(() => capabilityFilterToNapi(filter as unknown as CapabilityFilter)).toThrow(message);
});

test.each([NaN, Infinity, -Infinity, '1'])('the weight %p is refused', (weight) => {
  const attempt = () =>
    capabilityRequirementToNapi({ filter: {}, preferMoreVram: weight as number });
  expect(attempt).toThrow(CapabilityError);
  expect(attempt).toThrow(
    /^capability requirement weight 'preferMoreVram' must be a finite number, got /,
  );
});

test('a weight too large for the index is as good as 1', () => {
  const { best } = indexOf({
    1: { hardware: { memoryGb: 16 } },
    2: { hardware: { memoryGb: 256 } },
  });
  expect(best({ filter: {}, preferMoreMemory: 1e300 })).toBe(2n);
  expect(best({ filter: {}, preferMoreMemory: -1e300 })).toBe(1n);
});

describe('scope helpers', () => {
  test('add a tag once, and never change what they are given', () => {
    const tags = Object.freeze(['a']) as string[];
    expect(withTenantScope(tags, 't')).toEqual(['a', 'scope:tenant:t']);
    expect(withRegionScope(tags, 'eu')).toEqual(['a', 'scope:region:eu']);
    expect(withSubnetLocalScope(undefined)).toEqual(['scope:subnet-local']);
    const scoped = withTenantScope(tags, 't');
    expect(withTenantScope(scoped, 't')).toBe(scoped);
    expect(withRegionScope(tags, '')).toBe(tags);
    expect(withTenantScope(undefined, '')).toEqual([]);
    expect([SCOPE_TENANT_PREFIX, SCOPE_REGION_PREFIX, SCOPE_SUBNET_LOCAL]).toEqual([
      'scope:tenant:',
      'scope:region:',
      'scope:subnet-local',
    ]);
  });

  test.each([
    [
      { kind: 'tenant', tenant: 'x' },
      { kind: 'tenant', tenant: 'x' },
    ],
    [
      { kind: 'tenants', tenants: ['', 'x'] },
      { kind: 'tenants', tenants: ['x'] },
    ],
    [{ kind: 'regions', regions: ['', ''] }, { kind: 'any' }],
    [{ kind: 'tenant', tenant: '' }, { kind: 'any' }],
    [{ kind: 'region' }, { kind: 'any' }],
    [{ kind: 'tenants', tenants: 'x' }, { kind: 'any' }],
    [{ kind: 'tenant', tenant: ['x'] }, { kind: 'any' }],
    [{ kind: 'odd' }, { kind: 'any' }],
    [undefined, { kind: 'any' }],
    [{ kind: 'sameSubnet' }, { kind: 'sameSubnet' }],
  ])('%p counts as %p', (scope, expected) => {
    expect(scopeFilterToNapi(scope as ScopeFilter)).toEqual(expected);
  });
});

describe('an index', () => {
  const fleet = indexOf({
    1: {
      hardware: { memoryGb: 64, gpu: { vendor: 'nvidia', model: 'h100', vramGb: 80 } },
      models: [{ modelId: 'llama-3.1-70b', contextLength: 128_000, modalities: ['tool-use'] }],
      tags: withTenantScope(['hardware.gpu.h100', 'hardware.gpu.count=8'], 'oem-123'),
    },
    2: { hardware: { memoryGb: 16, gpu: { vendor: 'amd', model: 'w', vramGb: 24 } } },
    3: { hardware: { memoryGb: 256 }, tools: [{ toolId: 'search' }], tags: ['scope:subnet-local'] },
  });

  test.each<[CapabilityFilter, bigint[]]>([
    [{}, [1n, 2n, 3n]],
    [{ requireGpu: true, gpuVendor: 'nvidia', minVramMb: 40_000 }, [1n]],
    [{ minVramMb: 16_384 }, [1n, 2n]],
    [{ minVramGb: 80 }, [1n]],
    [{ minMemoryGb: 64 }, [1n, 3n]],
    [{ minMemoryMb: 64 * 1024 + 1 }, [3n]],
    [{ gpuVendor: 'AMD' as 'amd' }, [2n]],
    [{ requireModels: ['x', 'llama-3.1-70b'] }, [1n]],
    [{ requireTools: ['search'] }, [3n]],
    [{ minContextLength: 128_000 }, [1n]],
    [{ requireModalities: ['tool-use', 'text'] as Modality[] }, [1n]],
    [{ requireTags: ['hardware.gpu:count'] }, []],
  ])('finds %p at %p', (filter, nodes) => {
    expect(fleet.find(filter)).toEqual(nodes);
  });

  test('asks only the scope that was meant', () => {
    expect(fleet.findScoped({}, { kind: 'tenant', tenant: 'oem-123' })).toEqual([1n, 2n]);
    expect(fleet.findScoped({}, { kind: 'tenant', tenant: 'other' })).toEqual([2n]);
    expect(fleet.findScoped({}, { kind: 'globalOnly' })).toEqual([2n]);
    expect(fleet.findScoped({}, { kind: 'any' })).toEqual([1n, 2n]);
  });

  test('picks the best node', () => {
    expect(fleet.best({ filter: {} })).toBe(1n);
    expect(fleet.best({ filter: {}, preferMoreMemory: 1 })).toBe(3n);
    expect(fleet.best({ filter: { requireTags: ['nobody'] } })).toBeNull();
    expect(fleet.best({ filter: {}, preferMoreMemory: 1 }, { kind: 'globalOnly' })).toBe(2n);
  });

  test('aggregates and ranks', () => {
    const { index } = fleet;
    expect(index.capabilityAggregate(undefined, { kind: 'region' }, { kind: 'count' })).toEqual([
      { bucket: '(none)', value: 3n },
    ]);
    const query = {
      matcher: { kind: 'prefix', value: 'hardware.gpu.h100' },
      groupBy: { kind: 'tagStem', prefix: 'hardware.gpu' },
      sumAxisKey: 'hardware.gpu.count',
      limit: 2,
    };
    const row = { idle: 1n, busy: 0n, reserved: 0n, available: 1n, summedCapacity: 8n };
    expect(index.capabilityCapacityRanking(query)).toEqual([
      { bucket: '(present)', ...row },
      { bucket: 'count', ...row },
    ]);
    const near = { ...query, maxRttMs: 5 };
    expect(index.capabilityCapacityRanking(near)).toEqual([]);
    expect(index.capabilityCapacityRanking(near, [{ nodeId: 1n, rttMs: 5 }])).toHaveLength(2);
  });

  test('names the kinds that there are when it is asked for another', () => {
    let caught: unknown;
    try {
      fleet.index.capabilityAggregate(undefined, { kind: 'odd' }, { kind: 'count' });
    } catch (error) {
      caught = classify(error);
    }
    expect(caught).toBeInstanceOf(CapabilityError);
    expect((caught as Error).message).toBe(
      'capability: unknown groupBy kind "odd"; expected class | state | region | publisher | tagStem | tagValue',
    );
  });
});

test('vendors are known in every case', () => {
  expect(normalizeGpuVendor('NVIDIA')).toBe('nvidia');
  expect(normalizeGpuVendor('acme')).toBe('unknown');
});
