import { consumeBatches, netmeshPeer } from '../lib/netmesh.mjs';

export default netmeshPeer({
  id: 'netmesh',
  label: 'netmesh',
  consume: consumeBatches,
});
