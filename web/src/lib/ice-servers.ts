// The STUN and TURN servers the box names, asked for once and again when TURN credentials may have aged.
import { api } from './api';

/** Credentials are good for ten minutes: half of that must be left. */
const FRESH_MS = 5 * 60_000;
let cached: { at: number; servers: Promise<RTCIceServer[]> } | null = null;

export function iceServers(): Promise<RTCIceServer[]> {
  if (!cached || Date.now() - cached.at > FRESH_MS) {
    const servers = api
      .get('/api/v1/ice-servers')
      .then((answer) => answer.ice_servers)
      .catch((error: unknown) => {
        cached = null;
        throw error;
      });
    cached = { at: Date.now(), servers };
  }
  return cached.servers;
}
