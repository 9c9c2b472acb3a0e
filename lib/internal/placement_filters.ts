// Placement filters written in JavaScript, in the registry of the process.

import { describe, invalid } from './validate';
import { addon } from './native';
import type { PlacementCandidate, PlacementFilterFn } from './capability/placement';

const MAX_ID_LENGTH = 256;

function checkId(id: unknown): asserts id is string {
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH) {
    throw invalid(
      `placement filter: id must be a string of 1 to ${MAX_ID_LENGTH} characters; got ${describe(id)}`,
    );
  }
}

/** One verdict. Whoever throws does not want the node, and hears of it as a warning of the process. */
function judge(id: string, fn: PlacementFilterFn, candidate: PlacementCandidate): boolean {
  try {
    const answer: unknown = fn(candidate);
    return answer === true;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    process.emitWarning(
      `placement filter ${JSON.stringify(id)} threw for node ${candidate.nodeId}: ${detail}`,
      { code: 'NETMESH_PLACEMENT_FILTER' },
    );
    return false;
  }
}

/** False when the id is taken. */
export function registerPlacementFilter(id: string, fn: PlacementFilterFn): boolean {
  checkId(id);
  if (typeof fn !== 'function') {
    throw invalid(`placement filter: fn must be a function; got ${describe(fn)}`);
  }
  return addon().registerPlacementFilter(id, (candidates) =>
    candidates.map((candidate) => judge(id, fn, candidate)),
  );
}

/** True when it was there. */
export function unregisterPlacementFilter(id: string): boolean {
  checkId(id);
  return addon().unregisterPlacementFilter(id);
}

export function hasPlacementFilter(id: string): boolean {
  checkId(id);
  return addon().hasPlacementFilter(id);
}
