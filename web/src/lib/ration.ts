// What the box sends of a camera over this connection, and why no more: asked of the list of live sessions, in the words of people.
import { api } from './api';
import { t } from './en';
import { bitrate } from './format';
import type { LiveSession } from './types';

export type Sent = Pick<LiveSession, 'ration' | 'why' | 'available_bps'>;

/** What the session of this lease is sent; null where the box does not know it. */
export async function askWhatIsSent(lease: string): Promise<Sent | null> {
  const { sessions } = await api.get('/api/v1/live');
  return sessions.find((session) => session.lease === lease) ?? null;
}

/** "small picture: your connection carries 0.7 Mbit/s"; empty where nothing is to be said. */
export function rationWords(sent: Sent): string {
  const what = t.live.rations[sent.ration];
  const carries = sent.available_bps === null ? null : bitrate(sent.available_bps / 1000);
  switch (sent.why) {
    case 'connection':
      return carries === null ? what : t.live.carries(what, carries);
    case 'loss':
      return t.live.losesMuch(what);
    case 'budget':
      return t.live.overBudget(what);
    case 'wish':
      return sent.ration === 'main' ? '' : what;
  }
}
