import { tcpPeer } from '../lib/tcp.mjs';

export default tcpPeer({
  id: 'tcp-cubic',
  label: 'kernel TCP CUBIC, not encrypted',
  congestion: 'cubic',
});
