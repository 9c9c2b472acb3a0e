/**
 * Event-sourced state, and the logs under it.
 *
 * @packageDocumentation
 */

export { RedexError } from './core/errors';
export { Redex, RedexFile } from './redex';
export type {
  RedexEvent,
  RedexFileConfig,
  RedexFileStats,
  RedexOptions,
  RedexTailOptions,
} from './redex';
