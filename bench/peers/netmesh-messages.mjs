import { consumeFeed, consumeMessages, netmeshPeer } from '../lib/netmesh.mjs';

export default netmeshPeer({
  id: 'netmesh-messages',
  label: 'netmesh, `messages()` one by one',
  consume: consumeMessages,
  feeds: consumeFeed,
});
