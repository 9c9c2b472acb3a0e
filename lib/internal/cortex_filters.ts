// Filters, checked and as the addon takes them.

import type { NativeCommonFilter, NativeMemoryFilter, NativeTaskFilter } from '../../types/native';
import {
  type MemoriesOrderBy,
  type MemoryFilter,
  type TaskFilter,
  TaskStatus,
  TasksOrderBy,
  type TimeFilter,
} from './cortex_types';
import * as validate from './validate';

/** In the order of the addon's numbers. */
const ORDERS = Object.keys(TasksOrderBy) as Array<keyof typeof TasksOrderBy>;
const STATUSES = Object.values(TaskStatus);

function filterObject<T extends object>(filter: T | null | undefined): Partial<T> {
  return filter === undefined || filter === null ? {} : validate.object(filter, 'filter');
}

interface Ordered extends TimeFilter {
  orderBy?: TasksOrderBy | MemoriesOrderBy | null;
  limit?: number | null;
}

function common(filter: Ordered): NativeCommonFilter {
  const time = (name: keyof TimeFilter): bigint | undefined =>
    validate.optional(filter[name], (value) => validate.u64OrInteger(value, name));
  return {
    createdAfterNs: time('createdAfterNs'),
    createdBeforeNs: time('createdBeforeNs'),
    updatedAfterNs: time('updatedAfterNs'),
    updatedBeforeNs: time('updatedBeforeNs'),
    order: validate.optional(filter.orderBy, (value) =>
      ORDERS.indexOf(validate.oneOf(value, 'orderBy', ORDERS)),
    ),
    limit: validate.optional(filter.limit, (value) => validate.u32(value, 'limit')),
  };
}

export function taskFilter(filter: TaskFilter | null | undefined): NativeTaskFilter | undefined {
  if (filter === undefined || filter === null) return undefined;
  const options = filterObject(filter);
  return {
    ...common(options),
    status: validate.optional(options.status, (value) =>
      STATUSES.indexOf(validate.oneOf(value, 'status', STATUSES)),
    ),
    titleContains: validate.optional(options.titleContains, (value) =>
      validate.string(value, 'titleContains'),
    ),
  };
}

export function memoryFilter(
  filter: MemoryFilter | null | undefined,
): NativeMemoryFilter | undefined {
  if (filter === undefined || filter === null) return undefined;
  const options = filterObject(filter);
  return {
    ...common(options),
    source: validate.optional(options.source, (value) => validate.string(value, 'source')),
    contentContains: validate.optional(options.contentContains, (value) =>
      validate.string(value, 'contentContains'),
    ),
    tag: validate.optional(options.tag, (value) => validate.string(value, 'tag')),
    anyTag: validate.optional(options.anyTag, (value) => validate.strings(value, 'anyTag')),
    allTags: validate.optional(options.allTags, (value) => validate.strings(value, 'allTags')),
    pinned: validate.optional(options.pinned, (value) => validate.boolean(value, 'pinned')),
  };
}
