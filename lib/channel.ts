/**
 * Channels: of the event bus, typed by their payload, and of the mesh.
 *
 * @packageDocumentation
 */

export { TypedChannel } from './node';
export { ChannelAuthError, ChannelError } from './core/errors';
export type { ChannelSubscription } from './internal/node_channels';
export type {
  ChannelConfig,
  ChannelInfo,
  ChannelMessage,
  Credential,
  JoinedChannel,
  OnFailure,
  PublishConfig,
  PublishReport,
  Reliability,
  SubscribeChannelOptions,
  SubscribeOptions,
  SubscriptionInfo,
  Visibility,
} from './types';
