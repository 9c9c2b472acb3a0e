import { consumeBatches, netmeshPeer } from '../lib/netmesh.mjs';
import { redexLogs } from '../lib/redex-store.mjs';

export default {
  ...netmeshPeer({
    id: 'netmesh',
    label: 'netmesh',
    consume: consumeBatches,
  }),
  logs: redexLogs,
};
