// What is said of somebody who watches: what they are sent and why, and how their connection is.
import { words as w } from './en-people';
import { t } from './en';
import { bitrate, bytes, percent } from './format';
import type { LiveSession } from './types';

/** "small picture: its connection carries 0.7 Mbit/s"; "speaks"; "connecting". */
export function sentWords(live: LiveSession): string {
  if (live.talks) return live.connected ? w.watching.speaks : w.watching.connecting;
  const what = t.live.rations[live.ration];
  if (!live.connected) return w.watching.connecting;
  switch (live.why) {
    case 'connection':
      return live.available_bps === null
        ? w.watching.narrow(what)
        : w.watching.carries(what, bitrate(live.available_bps / 1000));
    case 'loss':
      return w.watching.losesMuch(what);
    case 'budget':
      return w.watching.overBudget(what);
    case 'wish':
      return w.watching.asAsked(what);
  }
}

/** "relayed, 640 kbit/s, 0.2 % lost, 42 ms there and back, 1.4 MB sent": what is known of it. */
export function connectionWords(live: LiveSession): string {
  if (!live.connected) return '';
  return [
    live.remote,
    live.relayed ? t.live.relayed : t.live.direct,
    live.sent_bps === null || live.talks ? '' : bitrate(live.sent_bps / 1000),
    live.loss === null ? '' : t.live.lostShare(percent(live.loss)),
    live.round_trip_ms === null ? '' : w.watching.roundTrip(Math.max(1, Math.round(live.round_trip_ms))),
    live.talks ? '' : w.watching.sent(bytes(live.bytes_sent)),
  ]
    .filter(Boolean)
    .join(', ');
}
