import { consumeBatches, netmeshPeer } from '../lib/netmesh.mjs';

export default netmeshPeer({
  id: 'netmesh-cubic',
  label: 'netmesh, CUBIC',
  consume: consumeBatches,
  config: { congestion: 'cubic' },
});
