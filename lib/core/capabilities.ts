/**
 * The low-level surface of capabilities.
 *
 * @packageDocumentation
 */

import { addon } from '../internal/native';

/** The lower-case word for a GPU's vendor, or `unknown`. */
export function normalizeGpuVendor(vendor: string): string {
  return addon().normalizeGpuVendor(vendor);
}
