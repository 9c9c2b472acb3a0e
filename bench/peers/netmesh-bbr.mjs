import { consumeBatches, netmeshPeer } from '../lib/netmesh.mjs';

export default netmeshPeer({
  id: 'netmesh-bbr',
  label: 'netmesh, BBR',
  consume: consumeBatches,
  config: { congestion: 'bbr' },
});
