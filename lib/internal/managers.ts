// The addon's manager behind a Redex that a caller passes in.

import type { NativeRedex } from '../../types/native';
import { Redex as CoreRedex, nativeRedexOf } from '../core/redex';
import { Redex } from '../redex';
import { describe, invalid } from './validate';

/** Of a `Redex` of `netmesh`. */
export function managerOf(redex: Redex): CoreRedex {
  const given: unknown = redex;
  if (given instanceof Redex) return given.napi;
  throw invalid(`redex must be a Redex; got ${describe(given)}`);
}

/** Of a `Redex` of `netmesh/core`. */
export function nativeManagerOf(redex: CoreRedex): NativeRedex {
  const given: unknown = redex;
  if (given instanceof CoreRedex) return nativeRedexOf(given);
  throw invalid(`redex must be a Redex of netmesh/core; got ${describe(given)}`);
}
