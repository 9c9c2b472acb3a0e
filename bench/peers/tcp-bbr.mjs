import { tcpPeer } from '../lib/tcp.mjs';

export default tcpPeer({
  id: 'tcp-bbr',
  label: 'kernel TCP BBR, not encrypted',
  congestion: 'bbr',
});
