// The time, ticking once a second while anything shows it.
import { createSubscriber } from 'svelte/reactivity';

const subscribe = createSubscriber((update) => {
  const timer = setInterval(update, 1000);
  return () => clearInterval(timer);
});

export const now = {
  /** Milliseconds since the epoch; reading it in markup keeps that markup fresh. */
  get ms(): number {
    subscribe();
    return Date.now();
  },
};
